"""Carries out changes of VMs' interfaces that a host may refuse: what was refused is not left wanted.

Refuses to know what is changed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from shoal import codec
from shoal.core.ranges import fold
from shoal.errors import Refused
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.vms import Changed
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.failures import alike_once
from shoal_orchestrator.core.port_settings import taken_back
from shoal_orchestrator.handlers.vms import outcome
from shoal_orchestrator.leader import Call, Leader


class PortChange(NamedTuple):
    """A VM's record as it was, and as it is to be."""

    before: LaunchRecord
    after: LaunchRecord


async def carry_out_or_take_back(
    leader: Leader,
    call: Call,
    wanted: Iterable[PortChange],
    failures: list[Failure],
    doing: str,
    *,
    notes: tuple[str, ...] = (),
    record: bool = True,
    changes: Changes | None = None,
    then: Callable[[PortChange], Awaitable[str]] | None = None,
) -> Changed:
    """Commit the changes, wait for the hosts, and take back what a host's kernel refuses.

    `doing` completes "cannot … of vm NAME on HOST". Raises what failed if it is one thing, and nothing went well.
    `changes` are stored together with the VMs'. Without `record` the reply is not the request's outcome yet. `then` is
    what is left to do once a host has followed; it answers what went wrong, or nothing.
    """
    good: list[LaunchRecord] = []
    changed: list[PortChange] = []
    for change in wanted:
        if change.after == change.before:
            good.append(change.before)
        else:
            changed.append(change)
    await _store(leader, call, [change.after for change in changed], doing, changes)
    undone: list[PortChange] = []
    for before, after in changed:
        trouble = refusal(leader, after)
        failure = outcome(leader, after, None)
        if then is not None and not trouble and failure is None:
            trouble = await then(PortChange(before, after))
        if trouble:
            refused = Refused(
                f"cannot {doing} of vm {after.name} on {after.host}: {trouble}", names=(after.name,)
            )
            failures.append(codec.failure_of(refused))
            undone.append(PortChange(before, after))
        elif failure is not None:
            failures.append(failure)
        else:
            good.append(after)
    # Only now: others may have changed these VMs while the rest was done.
    back = [
        taken_back(leader.model.launches[after.namespace].get(after.name), after, before)
        for before, after in undone
    ]
    await _store(leader, call, [record for record in back if record is not None], doing)
    distinct = alike_once(failures)
    if len(distinct) == 1 and not good:
        raise codec.error_of(distinct[0])
    reply = Changed(vms=fold(record.name for record in good), count=len(good), failures=distinct, notes=notes)
    if record:
        await call.commit(Changes(), reply)
    return reply


def refusal(leader: Leader, record: LaunchRecord) -> str:
    """What the VM's host says that its kernel refuses of this revision, or a later one; empty if nothing."""
    status = leader.inventory.status(record)
    return status.trouble if status is not None and status.revision >= record.revision else ""


async def _store(
    leader: Leader, call: Call, records: list[LaunchRecord], doing: str, changes: Changes | None = None
) -> None:
    if not records:
        return
    changes = changes or Changes()
    changes.put(*records)
    await call.commit(changes)
    total = len(records)
    await leader.inventory.carried_out(records, lambda done: call.progress(done, total, doing))
