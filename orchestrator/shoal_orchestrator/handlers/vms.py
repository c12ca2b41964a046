"""Handlers of commands about VMs that exist."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from shoal.codec import error_of
from shoal.core.ranges import expand, fold
from shoal.errors import InvalidRequest, NotFound
from shoal.messages.base import Done, Failure
from shoal.messages.desired import LaunchRecord, Power, State
from shoal.messages.vms import (
    Changed,
    ClearTags,
    FlushVMs,
    KillVMs,
    ListVMs,
    StopVMs,
    TagRow,
    Tags,
    TagVMs,
    VMRow,
    VMs,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import gone, incarnation_of
from shoal_orchestrator.core.observed import View, view
from shoal_orchestrator.core.targets import ALL, resolve
from shoal_orchestrator.core.wrong_state import STATE_ERROR, in_brief, replaced, state_error, with_queued
from shoal_orchestrator.handlers.collecting import collect
from shoal_orchestrator.handlers.paging import heavy_page
from shoal_orchestrator.leader import Call, Leader


def view_of(leader: Leader, record: LaunchRecord) -> View:
    """What a user reads of a VM now."""
    host = leader.model.hosts.get(record.host)
    return view(
        record,
        leader.inventory.status(record),
        leader.inventory.state(record.host),
        host.incarnation if host else "",
        uptime_s=leader.inventory.uptime_s(record),
        fenced=host is not None and host.fenced,
    )


async def list_vms(leader: Leader, namespace: str, request: ListVMs, _: Call) -> VMs:
    """The namespace's VMs, by id, in pages."""
    leader.namespace(namespace)
    vms = leader.model.launches[namespace]
    asked = (
        [vms[name] for name in set(expand(request.names)) if name in vms] if request.names else vms.values()
    )
    records = sorted(asked, key=_id)
    after = int(request.after) if request.after else None
    rows, more = heavy_page(records, after, request.limit, key=_id, row=partial(_row, leader))
    return VMs(items=tuple(rows), brief=request.summary, next=str(rows[-1].id) if more else "")


def _id(record: LaunchRecord) -> int:
    return record.id


def _row(leader: Leader, record: LaunchRecord) -> VMRow:
    seen = view_of(leader, record)
    return VMRow(
        id=record.id,
        namespace=record.namespace,
        name=record.name,
        host=record.host,
        state=seen.state,
        wanted=record.power,
        instance=record.instance,
        uuid=record.uuid,
        pid=seen.pid,
        uptime_s=seen.uptime_s,
        reason=seen.reason,
        ports=record.ports,
        config=record.config,
    )


def targets(leader: Leader, namespace: str, target: str) -> tuple[list[LaunchRecord], list[Failure]]:
    """The VMs that a word means. A single missing one raises NotFound; among others it is a failure."""
    leader.namespace(namespace)
    found, missing = resolve(leader.model.launches[namespace], target)
    failures = with_queued(missing, leader.model.queued(namespace))
    if failures and not found and len(failures) == 1:
        raise error_of(failures[0])
    return found, failures


async def _power(
    leader: Leader,
    call: Call,
    found: Iterable[LaunchRecord],
    failures: list[Failure],
    *,
    power: Power,
    allowed: tuple[State, ...],
    everyone: bool,
    verb: str,
) -> Changed:
    changes = Changes()
    changed: list[LaunchRecord] = []
    wanted: State = "PAUSED" if power == "paused" else "QUIT"
    as_asked: list[LaunchRecord] = []
    for record in found:
        state = view_of(leader, record).state
        if call.repeat and (state == wanted or record.power == power):
            # A predecessor has stored it; the host may not have said yet what came of it.
            as_asked.append(record)
        elif state in allowed:
            incarnation = incarnation_of(leader.model, record)
            changed.append(
                replace(record, revision=record.revision + 1, power=power, incarnation=incarnation)
            )
        elif not everyone:
            failures.append(state_error(record, STATE_ERROR, state))
    changes.put(*changed)
    return await carry_out(leader, call, changes, [*changed, *as_asked], failures, wanted, verb)


async def stop_vms(leader: Leader, namespace: str, request: StopVMs, call: Call) -> Changed:
    """Pause running VMs."""
    found, failures = targets(leader, namespace, request.target)
    everyone = request.target == ALL
    return await _power(
        leader, call, found, failures, power="paused", allowed=("RUNNING",), everyone=everyone, verb="pausing"
    )


async def kill_vms(leader: Leader, namespace: str, request: KillVMs, call: Call) -> Changed:
    """End VMs; they stay known (QUIT) until they are flushed."""
    found, failures = targets(leader, namespace, request.target)
    reply = await _power(
        leader,
        call,
        found,
        failures,
        power="off",
        allowed=("BUILDING", "RUNNING", "PAUSED", "LOST"),
        everyone=request.target == ALL,
        verb="killing",
    )
    collected = await collect(leader, {record.host for record in found})
    return replace(reply, notes=(*reply.notes, *collected.notes))


async def carry_out(
    leader: Leader,
    call: Call,
    changes: Changes,
    changed: list[LaunchRecord],
    failures: list[Failure],
    wanted: State | None,
    verb: str,
) -> Changed:
    """Commit new revisions, wait for the hosts, and tell what came of it. `wanted` None: any state is fine."""
    if changes:
        await call.commit(changes)
    if changed:
        total = len(changed)
        await leader.inventory.carried_out(changed, lambda done: call.progress(done, total, verb))
    good: list[LaunchRecord] = []
    for record in changed:
        trouble = outcome(leader, record, wanted)
        if trouble is None:
            good.append(record)
        else:
            failures.append(trouble)
    if failures and not changed and len(failures) == 1:
        raise error_of(failures[0])
    reply = Changed(vms=fold(record.name for record in good), count=len(good), failures=in_brief(failures))
    await call.commit(Changes(), reply)
    return reply


def outcome(leader: Leader, record: LaunchRecord, wanted: State | None) -> Failure | None:
    """Why a VM is not what was asked for; None if it is. `wanted` None: any state is fine."""
    current = leader.model.launches[record.namespace].get(record.name)
    if current is None or current.revision > record.revision:
        return replaced(record, current)
    seen = view_of(leader, record)
    host_state = leader.inventory.state(record.host)
    if seen.state == wanted:
        return None
    if host_state in ("suspect", "lost"):
        text = f"{{vm}}: host {record.host} is {host_state}; it carries this out when it is back"
        return state_error(record, text)
    if wanted is None:
        return None
    message = f"{record.name}: {seen.reason or f'is {seen.state}, not {wanted}'}"
    return Failure(kind="Refused", code=409, message=message, names=(record.name,))


async def flush_vms(leader: Leader, namespace: str, request: FlushVMs, call: Call) -> Changed:
    """Forget VMs that have ended, and wait until their hosts have."""
    everyone = request.target in ("", ALL)
    found, failures = targets(leader, namespace, request.target or ALL)
    flushed: list[LaunchRecord] = []
    before: list[str] = []
    if call.repeat:
        # What is not there any more was flushed by a predecessor.
        before = [name for failure in failures if failure.kind == NotFound.kind for name in failure.names]
        failures = [failure for failure in failures if failure.kind != NotFound.kind]
    for record in found:
        state = view_of(leader, record).state
        if state in ("QUIT", "ERROR"):
            flushed.append(record)
        elif not everyone:
            failures.append(state_error(record, STATE_ERROR, state))
    changes = Changes()
    changes.put(*(gone(leader.model, record) for record in flushed))
    if failures and not flushed and len(failures) == 1:
        raise error_of(failures[0])
    done = [*before, *(record.name for record in flushed)]
    reply = Changed(vms=fold(done), count=len(done), failures=in_brief(failures))
    await call.commit(changes, reply)
    return reply


async def tag_vms(leader: Leader, namespace: str, request: TagVMs, call: Call) -> Tags:
    """Show tags, or set one."""
    found, failures = targets(leader, namespace, request.target)
    key = "" if request.key == ALL else request.key
    if not request.value:
        rows = [
            TagRow(vm=vm.name, key=name, value=vm.config.tags.get(name, ""))
            for vm in found
            for name in ([key] if key else sorted(vm.config.tags))
        ]
        return Tags(items=tuple(rows), key=key, failures=tuple(failures))
    if not key:
        raise InvalidRequest("cannot assign to wildcard")
    changes = Changes()
    changes.put(*(_tagged(record, {**record.config.tags, key: request.value}) for record in found))
    reply = Tags(failures=tuple(failures))
    await call.commit(changes, reply)
    return reply


def _tagged(record: LaunchRecord, tags: dict[str, str]) -> LaunchRecord:
    return replace(record, config=replace(record.config, tags=tags))


async def clear_tags(leader: Leader, namespace: str, request: ClearTags, call: Call) -> Done:
    """Remove tags."""
    found, failures = targets(leader, namespace, request.target)
    changes = Changes()
    for record in found:
        kept = record.config.tags if request.key not in ("", ALL) else {}
        tags = {key: value for key, value in kept.items() if key != request.key}
        changes.put(_tagged(record, tags))
    reply = Done(failures=tuple(failures))
    await call.commit(changes, reply)
    return reply
