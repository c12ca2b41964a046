"""Handlers of the queue and the scheduler: queue, plan, edit, apply.

Refuses to know how a plan becomes VMs (`carrying_out`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from shoal.core.ids import token
from shoal.core.ranges import expand, fold, natural_order
from shoal.errors import PlanChanged
from shoal.messages.base import Done
from shoal.messages.events import VMsQueued
from shoal.messages.schedule import DryRun, DumpPlan, Launched, MovePlanned, Planned, Schedule
from shoal.messages.vms import LaunchVMs
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import items_of, residents_of
from shoal_orchestrator.core.moves import move
from shoal_orchestrator.core.placement import HostView, Placement
from shoal_orchestrator.handlers.carrying_out import carry_out_plan
from shoal_orchestrator.handlers.configs import saved_config
from shoal_orchestrator.handlers.planning import (
    current_plan,
    dry_run_records,
    entries_of,
    place_queue,
    placed_hosts,
    plan_records,
    planned,
    views,
)
from shoal_orchestrator.leader import Call, Leader


async def launch_vms(leader: Leader, namespace: str, request: LaunchVMs, call: Call) -> Launched:
    """Queue VMs; without queueing, place and launch the queue at once, or queue nothing."""
    record = leader.namespace(namespace)
    config = request.spec or (
        saved_config(leader, namespace, request.config) if request.config else record.config
    )
    entry = launching.new_entry(leader.model, record, request.names, config)
    changes = Changes()
    discarded = dry_run_records(leader, namespace)
    changes.delete(*discarded)
    notes = ("the dry run was discarded: more was queued",) if discarded else ()
    record = replace(record, next_entry=record.next_entry + 1)
    if not record.queueing:
        entries = [*leader.model.queued(namespace), entry]
        placement = place_queue(leader, record, entries)
        reply = await carry_out_plan(leader, record, entries, placement, call, changes)
        return replace(reply, notes=(*notes, *reply.notes))
    changes.put(record, entry)
    vms = entry.names or str(entry.count)
    changes.tell(VMsQueued(namespace=namespace, name=str(entry.entry), vms=vms, count=entry.count))
    reply = Launched(queued=entry.count, notes=notes)
    await call.commit(changes, reply)
    return reply


async def dry_run(leader: Leader, namespace: str, _: DryRun, call: Call) -> Planned:
    """Plan the queue and keep the plan."""
    record = leader.namespace(namespace)
    entries = leader.model.queued(namespace)
    placement = place_queue(leader, record, entries)
    changes = Changes()
    changes.delete(*dry_run_records(leader, namespace))
    head, chunks = plan_records(namespace, token(leader.ids), entries, placement)
    changes.put(*chunks, head)
    reply = planned(entries, placement.hosts)
    await call.commit(changes, reply)
    return reply


async def dump_plan(leader: Leader, namespace: str, _: DumpPlan, __: Call) -> Planned:
    """The dry run as it was edited."""
    plan = current_plan(leader, namespace)
    entries = entries_of(leader, plan)
    return planned(entries, placed_hosts(leader, plan, entries))


async def move_planned(leader: Leader, namespace: str, request: MovePlanned, call: Call) -> Done:
    """Edit the dry run."""
    plan = current_plan(leader, namespace)
    record = leader.namespace(namespace)
    entries = entries_of(leader, plan)
    items = items_of(entries, leader.cluster.head)
    edit = move(
        Placement(tuple(tuple(hosts) for hosts in placed_hosts(leader, plan, entries))),
        items,
        views(leader, record),
        expand(request.vms),
        leader.cluster.head if request.host == "localhost" else request.host,
        residents=residents_of(leader.model, namespace),
        moved=expand(plan.moved) if plan.moved else (),
        force=request.force,
    )
    head, chunks = plan_records(namespace, plan.plan, entries, edit.placement)
    changes = Changes()
    changes.delete(*leader.model.chunks[namespace, plan.plan].values())
    changes.put(*chunks, replace(head, revision=plan.revision + 1, moved=fold(edit.moved)))
    reply = Done(notes=edit.notes)
    await call.commit(changes, reply)
    return reply


async def schedule(leader: Leader, namespace: str, request: Schedule, call: Call) -> Launched:
    """Launch the queue: as the dry run says, or as it is placed now."""
    record = leader.namespace(namespace)
    plan = leader.model.dry_run(namespace)
    changes = Changes()
    if plan is None:
        entries = leader.model.queued(namespace)
        placement = place_queue(leader, record, entries)
    else:
        entries = entries_of(leader, plan)
        placement = Placement(tuple(tuple(hosts) for hosts in placed_hosts(leader, plan, entries)))
        if not request.force:
            _check_ground(views(leader, record), placement)
        changes.delete(*dry_run_records(leader, namespace))
    return await carry_out_plan(leader, record, entries, placement, call, changes)


def _check_ground(views: Sequence[HostView], placement: Placement) -> None:
    """Refuse a plan whose hosts are not there any more. PlanChanged names them and why."""
    known = {view.name: view for view in views}
    planned = Counter(host for hosts in placement.hosts for host in hosts)
    details = []
    for host in natural_order(planned):
        view = known.get(host)
        if view is None:
            details.append(
                f"{planned[host]} VMs are planned on {host}, which is not in the namespace any more"
            )
        elif not view.accepting:
            details.append(f"{planned[host]} VMs are planned on {host}: {view.reason}")
    if details:
        raise PlanChanged(
            "the plan does not fit the cluster any more: run `ns schedule dry-run` again, or add `force`",
            details=tuple(details),
        )
