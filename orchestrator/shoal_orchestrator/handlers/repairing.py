"""Handler of `doctor --repair`: asks the hosts for what they hold, has the records worked out, and stores them.

Refuses to decide what is right: see `core.repairing`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from typing import NamedTuple

import structlog

from shoal.core.ids import token
from shoal.core.ranges import expand, fold, natural_order
from shoal.errors import Refused, ShoalError
from shoal.messages.doctor import RepairCluster, Repaired, RepairStep
from shoal.messages.repair_requests import HeldRecords, ListHeld
from shoal_orchestrator.core.holdings import Holding, holding_of, unchanged
from shoal_orchestrator.core.repairing import Rebuilt, rebuilding
from shoal_orchestrator.handlers.hosts import unknown_host
from shoal_orchestrator.leader import Call, Leader
from shoal_orchestrator.rebuilding import store_rebuilt

LOG = structlog.get_logger("shoal.repair")
_AT_ONCE = 16
#: how often it is looked whether hosts obey, and how many times at most
_LOOK_S = 0.1
_LOOKS = 50
_BUSY = "the cluster's records are being repaired: try again in a moment"


async def repair_cluster(leader: Leader, _: str, request: RepairCluster, call: Call) -> Repaired:
    """Show what is to be done, or do it."""
    without = _without(leader, request.hosts)
    command = "doctor --repair" + (f" without {fold(without)}" if without else "") + " --yes"
    if not request.sure:
        found = await _work_out(leader, without, call, to_store=False)
        notes = (f"nothing was changed; `{command}` does this",) if found.steps else ()
        return Repaired(items=found.steps, command=command, notes=notes)
    if leader.repairing.locked():
        raise Refused(_BUSY)
    async with leader.repairing:
        found = await _work_out(leader, without, call, to_store=True)
        # Of a store that is well, what is right for this moment is stored at once, and all else goes on.
        with contextlib.nullcontext() if found.lost is None else leader.store.held(_BUSY):
            reply = await _store(leader, found, call)
    await _go_on(leader, reply.store)
    return reply


def _without(leader: Leader, text: str) -> list[str]:
    """The hosts that are not asked. NotFound for those that nobody knows."""
    named = expand(text) if text else []
    for host in named:
        if host not in leader.model.hosts and host not in leader.inventory.hosts:
            raise unknown_host(host)
    return named


class _Found(NamedTuple):
    """What is to be done. `lost` are the ids of the stores that this one takes the place of; None: it stays what it is."""

    rebuilt: Rebuilt
    steps: tuple[RepairStep, ...]
    lost: tuple[str, ...] | None


async def _work_out(leader: Leader, without: list[str], call: Call, *, to_store: bool) -> _Found:
    """Ask all hosts but those, and have it worked out. Refused when some do not answer."""
    with leader.model.watched() as changed:
        holdings = await _ask_all(leader, without, call)
    holdings = unchanged(holdings, changed)
    fence = leader.store.fence
    ours = fence.store
    # One that this store succeeds is none: such a host obeys with the next acknowledgement.
    others = sorted({holding.seen_store for holding in holdings.values()} - {"", ours, *fence.succeeds})
    frozen = bool(leader.store.backwards)
    parts = rebuilding(leader.model, leader.cluster, holdings, backwards=frozen or bool(others))
    rebuilt = await _in_parts(parts, pause=not to_store)
    if not (frozen or others):
        return _Found(rebuilt, rebuilt.steps, None)
    why = "it went backwards" if frozen else f"hosts belong to store {', '.join(others)}"
    anew = RepairStep(
        action="correct", object=f"store {ours}", why=f"{why}: it gets a new id, which hosts obey"
    )
    return _Found(rebuilt, (anew, *rebuilt.steps), tuple(others))


async def _in_parts(parts: Generator[None, None, Rebuilt], *, pause: bool) -> Rebuilt:
    """What comes of it; between the parts others have their turn: heartbeats, requests, the lease.

    Without a pause where it is stored: everything else goes on, and what comes of it has to be right when it is.
    """
    while True:
        try:
            next(parts)
        except StopIteration as ended:
            rebuilt: Rebuilt = ended.value
            return rebuilt
        if pause:
            await asyncio.sleep(0)


async def _ask_all(leader: Leader, without: list[str], call: Call) -> dict[str, Holding]:
    """What every host holds that the cluster knows, or hears."""
    known = {name for name, record in leader.model.hosts.items() if not record.fenced}
    hosts = natural_order((known | set(leader.inventory.alive())) - set(without))
    at_once = asyncio.Semaphore(_AT_ONCE)
    found: dict[str, Holding] = {}
    silent: dict[str, str] = {}

    async def one(host: str) -> None:
        async with at_once:
            try:
                found[host] = await _ask(leader, host)
            except ShoalError as error:
                silent[host] = error.message
        call.progress(len(found) + len(silent), len(hosts), "hosts asked")

    await asyncio.gather(*map(one, hosts))
    if silent:
        names = fold(natural_order(silent))
        them = fold(natural_order([*silent, *without]))
        raise Refused(
            f"cannot repair: {names} did not tell what they have; start their workers, or leave their records as they are "
            f"with `doctor --repair without {them}`",
            details=tuple(f"{host}: {silent[host]}" for host in natural_order(silent)),
            names=tuple(natural_order(silent)),
        )
    return {host: found[host] for host in hosts}


async def _ask(leader: Leader, host: str) -> Holding:
    pages: list[HeldRecords] = []
    after = ""
    while not pages or after:
        pages.append(await leader.workers.ask(host, ListHeld(after=after)))
        after = pages[-1].next
    return holding_of(host, pages)


async def _store(leader: Leader, found: _Found, call: Call) -> Repaired:
    """Store it, and what this request came to with the last of it."""
    if not found.steps and not found.rebuilt.changes:
        return Repaired(done=True)
    anew = found.lost is not None
    store = token(leader.ids) if anew else ""
    reply = Repaired(items=found.steps, done=True, store=store)
    await store_rebuilt(leader.store, found.rebuilt, call.outcome(reply), anew=store, lost=found.lost or ())
    LOG.warning("repaired", steps=len(found.steps), store=store or leader.store.fence.store)
    for step in found.steps:
        LOG.info("repair-step", action=step.action, object=step.object, why=step.why)
    return reply


async def _go_on(leader: Leader, store: str) -> None:
    """Go on with what is there now, and wait for a while until hosts obey the store of this id, if it is another one.

    A host whose worker claimed it meanwhile, and whose record was not written, claims itself anew.
    """
    for host in leader.inventory.alive():
        record, beat = leader.model.hosts.get(host), leader.inventory.hosts[host].heartbeat
        if record is None or record.fenced or (beat is not None and beat.incarnation != record.incarnation):
            leader.inventory.unclaim(host)
    leader.events.look_again()
    leader.inventory.tell()

    def obeyed() -> bool:
        beats = [leader.inventory.hosts[host].heartbeat for host in leader.inventory.alive()]
        return all(beat is None or (not beat.held_back and beat.seen_store in ("", store)) for beat in beats)

    # Heartbeats are no news to those who wait: they come once a second.
    for _ in range(_LOOKS if store else 0):
        if obeyed():
            return
        await asyncio.sleep(_LOOK_S)
