"""Ends captures on hosts, and gives what they come to names among the cluster's files.

Refuses to know commands. What a host says of its captures is all that is known of them: the leader keeps nothing, and
does nothing twice that a predecessor has begun, since a host keeps a capture's content until it was named.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec
import structlog

from shoal import codec
from shoal.core.files import partial_name, size_text
from shoal.core.ranges import fold, natural_order
from shoal.errors import Conflict, Refused, ShoalError
from shoal.messages.base import Failure
from shoal.messages.capture_requests import (
    AskCaptures,
    Capture,
    CollectCaptures,
    EndCaptures,
    EndedCapture,
    EndedCaptures,
    ForgetCaptures,
)
from shoal.messages.host_requests import HostRequest
from shoal_orchestrator.handlers.results import name_content
from shoal_orchestrator.leader import Leader

LOG = structlog.get_logger("shoal.captures")
Told = Callable[[int, int, str], None]


class Collected(msgspec.Struct):
    """What ended captures came to: names of the cluster's files, words about them, and what failed."""

    files: list[str]
    notes: list[str]
    failures: list[Failure]

    def add(self, other: Collected) -> None:
        """Take in what came of others."""
        self.files += other.files
        self.notes += other.notes
        self.failures += other.failures


def nothing() -> Collected:
    """Nothing was collected."""
    return Collected([], [], [])


async def held(leader: Leader, namespaces: Iterable[str]) -> tuple[dict[str, list[Capture]], list[Failure]]:
    """The captures of these namespaces by host; a failure names hosts that cannot be asked.

    Only hosts that said to have captures are asked, and those of which nothing was heard yet.
    """
    wanted = set(namespaces)
    asked = [host for host, seen in leader.inventory.hosts.items() if seen.captures or seen.heartbeat is None]
    alive = [host for host in asked if leader.inventory.state(host) == "alive"]
    answers, refused = await leader.workers.ask_all(alive, AskCaptures())
    found = {
        host: [capture for capture in answer.items if capture.namespace in wanted]
        for host, answer in answers.items()
    }
    silent = {host for host in asked if leader.inventory.hosts[host].captures} - set(alive) | set(refused)
    failures = []
    if silent:
        message = f"captures on {fold(silent)} cannot be seen: ask again when the hosts are alive"
        failures.append(codec.failure_of(Refused(message, names=tuple(natural_order(silent)))))
    return {host: captures for host, captures in found.items() if captures}, failures


async def end(leader: Leader, chosen: dict[str, list[Capture]], told: Told) -> Collected:
    """End captures on their hosts, and name what they came to."""
    collected = nothing()
    questions = {host: EndCaptures(ids=tuple(c.id for c in captures)) for host, captures in chosen.items()}
    work = (_collect(leader, host, question, told) for host, question in questions.items())
    for each in await asyncio.gather(*work):
        collected.add(each)
    return collected


async def drop(leader: Leader, chosen: dict[str, list[Capture]]) -> None:
    """End captures on their hosts, and name nothing of them. What cannot be asked now goes on, and is listed."""

    async def one(host: str, captures: list[Capture]) -> None:
        ids = tuple(capture.id for capture in captures)
        try:
            async with leader.collecting[host]:
                await leader.workers.ask(host, EndCaptures(ids=ids))
                await leader.workers.ask(host, ForgetCaptures(ids=ids))
        except ShoalError as error:
            LOG.warning("captures-not-dropped", host=host, captures=len(ids), error=error.message)

    await asyncio.gather(*(one(host, captures) for host, captures in chosen.items()))


async def collect(leader: Leader, hosts: Iterable[str]) -> Collected:
    """Name what captures came to that ended by themselves, on those of these hosts that said to have any."""
    collected = nothing()
    waiting = [host for host in hosts if leader.inventory.hosts[host].ended_captures]
    work = (_collect(leader, host, CollectCaptures(), lambda *_: None) for host in waiting)
    for each in await asyncio.gather(*work):
        collected.add(each)
    return collected


async def _collect(leader: Leader, host: str, question: HostRequest[EndedCaptures], told: Told) -> Collected:
    collected = nothing()
    # One after another: what one asker has named is forgotten while another would still read it.
    async with leader.collecting[host]:
        try:
            with leader.shelf.awaiting():
                answer = await leader.workers.ask(host, question, told)
                done = [ended for ended in answer.items if await _named(leader, host, ended, collected)]
            if done:
                await leader.workers.ask(host, ForgetCaptures(ids=tuple(e.capture.id for e in done)))
            leader.inventory.hosts[host].ended_captures = 0
        except ShoalError as error:
            collected.failures.append(codec.failure_of(error, host))
    return collected


async def _named(leader: Leader, host: str, ended: EndedCapture, collected: Collected) -> bool:
    """Whether a capture needs to be kept no longer, since its content has a name."""
    capture = ended.capture
    where = capture.name or f"{capture.path} on host {host}"
    if ended.error:
        message = f"{where}: {ended.error}; its host keeps it, and it is tried again"
        collected.failures.append(codec.failure_of(Refused(message, names=(capture.name or capture.path,))))
        return False
    if capture.path:
        if capture.partial:
            collected.notes.append(f"{partial_name(where)} is partial: {capture.reason}")
        return True
    name = partial_name(capture.name) if capture.partial else capture.name
    try:
        try:
            await name_content(leader, name, ended.content)
        except Conflict:
            # Since the capture began, something else came there that is a directory, or a file where one should be.
            name = f"captures-{capture.id}.{'partial.' * capture.partial}pcap"
            await name_content(leader, name, ended.content)
    except ShoalError as error:
        collected.failures.append(codec.failure_of(error, name, message=f"{name}: {error.message}"))
        return False
    collected.files.append(name)
    what = f"partial, since {capture.reason}" if capture.partial else size_text(ended.content.size)
    collected.notes.append(f"{name} is a file of the cluster now ({what}): `file get {name}`")
    LOG.info("capture-collected", host=host, file=name, partial=capture.partial)
    return True


def by_host(pairs: Iterable[tuple[str, Capture]]) -> dict[str, list[Capture]]:
    """Captures by their host."""
    found: defaultdict[str, list[Capture]] = defaultdict(list)
    for host, capture in pairs:
        found[host].append(capture)
    return dict(found)
