"""Handler of `vm start`: VMs that go on, that are launched again, or that are launched again elsewhere."""

from __future__ import annotations

from msgspec.structs import replace

from shoal.core.ids import token
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.vms import Changed, StartVMs
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import incarnation_of
from shoal_orchestrator.core.demand import residents_of
from shoal_orchestrator.core.demand import view_of as host_view
from shoal_orchestrator.core.launching import SLICE
from shoal_orchestrator.core.recovering import is_dead, move_elsewhere
from shoal_orchestrator.core.restarts import restart_problems
from shoal_orchestrator.core.targets import ALL
from shoal_orchestrator.core.wrong_state import queue_note, state_error
from shoal_orchestrator.handlers.planning import limit_of
from shoal_orchestrator.handlers.recovery import new_homes
from shoal_orchestrator.handlers.vms import carry_out, targets, view_of
from shoal_orchestrator.leader import Call, Leader

_ANEW = "vm {vm} is lost: {reason}; `vm kill {vm}` and `vm flush {vm}` forget it, then launch it again"
_LOST = (
    "vm {vm} is on host {host}, which is lost; once that host is surely dead, `host forget {host} --fenced` allows to "
    "launch it elsewhere"
)


async def start_vms(leader: Leader, namespace: str, request: StartVMs, call: Call) -> Changed:
    """Resume VMs; named ones that have ended, or whose host is dead, are launched again as new instances."""
    found, failures = targets(leader, namespace, request.target)
    moved: list[LaunchRecord] = []
    if request.target != ALL:
        stranded = [record for record in found if is_dead(leader.model, record.host)]
        moved = await _moved(leader, namespace, stranded, failures, call)
        if stranded:
            # Records may have changed while these were stored, also those of VMs that were to be moved.
            done = {record.name for record in moved} | {
                name for failure in failures for name in failure.names
            }
            found = [
                record for record in targets(leader, namespace, request.target)[0] if record.name not in done
            ]
    changed: list[LaunchRecord] = []
    as_asked = list(moved)
    ended: list[LaunchRecord] = []
    alone = len(found) == 1 and not failures and not moved
    for record in found:
        seen = view_of(leader, record)
        state = seen.state
        if state in ("BUILDING", "PAUSED") and record.power != "off":
            changed.append(replace(record, revision=record.revision + 1, power="running"))
        elif request.target == ALL:
            continue
        elif state == "RUNNING" and call.repeat:
            as_asked.append(record)
        elif state == "RUNNING":
            named = "vm is already running" if alone else "vm is already running: {vm}"
            failures.append(state_error(record, named, state))
        elif state == "LOST" and leader.inventory.state(record.host) == "alive":
            failures.append(state_error(record, _ANEW.replace("{reason}", seen.reason)))
        elif state == "LOST":
            failures.append(state_error(record, _LOST.replace("{host}", record.host)))
        else:
            # One that was killed is another instance, too, even where its guest is still seen.
            ended.append(record)
    again, refused = _restarts(leader, namespace, ended)
    changed += again
    failures += refused
    changes = Changes()
    changes.put(*changed)
    reply = await carry_out(leader, call, changes, [*changed, *as_asked], failures, "RUNNING", "starting")
    if request.target != ALL:
        return reply
    return replace(reply, notes=(*reply.notes, *queue_note(leader.model.queued(namespace))))


def _restarts(
    leader: Leader, namespace: str, ended: list[LaunchRecord]
) -> tuple[list[LaunchRecord], list[Failure]]:
    """VMs that have ended as new instances, where limits and hosts still allow them; a failure for each other."""
    if not ended:
        return [], []
    model = leader.model
    hosts = {record.host for record in ended}
    problems = restart_problems(
        ended,
        {host: host_view(model, host, leader.inventory.hosts.get(host)) for host in hosts},
        residents_of(model, namespace),
        limit_of(leader, leader.namespace(namespace)),
    )
    started: list[LaunchRecord] = []
    failures: list[Failure] = []
    for record in ended:
        problem = problems.get(record.instance)
        if problem is None:
            started.append(relaunched(leader, record))
        else:
            failures.append(state_error(record, f"cannot start vm {{vm}} again on {record.host}: {problem}"))
    return started, failures


def relaunched(leader: Leader, record: LaunchRecord) -> LaunchRecord:
    """A VM that has ended, as a new instance on its host."""
    return replace(
        record,
        revision=record.revision + 1,
        power="running",
        instance=token(leader.ids, 96),
        incarnation=incarnation_of(leader.model, record),
    )


async def _moved(
    leader: Leader, namespace: str, stranded: list[LaunchRecord], failures: list[Failure], call: Call
) -> list[LaunchRecord]:
    """VMs of dead hosts as new instances on others, stored already; those without room are added to the failures."""
    if not stranded:
        return []
    homes, reasons = new_homes(leader, namespace, stranded)
    failures += [
        state_error(record, f"cannot launch vm {{vm}} again: {'; '.join(reasons)}")
        for record in stranded
        if record.name not in homes
    ]
    moved: list[LaunchRecord] = []
    placed = [record for record in stranded if record.name in homes]
    for at in range(0, len(placed), SLICE):
        changes, again = move_elsewhere(
            leader.model, homes, placed[at : at + SLICE], leader.ids, power="running"
        )
        await call.commit(changes)
        moved += again
    return moved
