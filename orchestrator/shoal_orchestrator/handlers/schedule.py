"""Handlers of the queue and the scheduler: queue, plan, edit, apply.

Refuses to know how a plan becomes VMs (`carrying_out`).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from shoal.core.files import files_of
from shoal.core.ids import token
from shoal.core.ranges import expand, fold
from shoal.core.vmconfig_checks import check_config
from shoal.errors import PlanChanged, Unplaceable
from shoal.messages.base import Done, Failure
from shoal.messages.events import VMsQueued
from shoal.messages.schedule import DryRun, DumpPlan, Launched, MovePlanned, Planned, Schedule
from shoal.messages.vms import LaunchVMs
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.check import check_ground
from shoal_orchestrator.core.demand import items_of, residents_of
from shoal_orchestrator.core.dividing import divide
from shoal_orchestrator.core.ground import difference, ground_of, without_barred
from shoal_orchestrator.core.moves import move
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.records import NamespaceRecord, PlanRecord, QueueEntry
from shoal_orchestrator.handlers.carrying_out import carry_out_plan
from shoal_orchestrator.handlers.configs import saved_config
from shoal_orchestrator.handlers.offering import offered
from shoal_orchestrator.handlers.planning import (
    current_plan,
    dry_run_records,
    entries_of,
    limit_of,
    loads_of,
    place_queue,
    place_what_fits,
    placed_hosts,
    plan_records,
    planned,
    views,
)
from shoal_orchestrator.leader import Call, Leader


async def launch_vms(leader: Leader, namespace: str, request: LaunchVMs, call: Call) -> Launched:
    """Queue VMs; without queueing, place and launch the queue at once, or queue nothing."""
    record = leader.namespace(namespace)
    if request.spec is not None:
        check_config(request.spec)
    config = request.spec or (
        saved_config(leader, namespace, request.config) if request.config else record.config
    )
    await offered(leader, files_of(config), call)
    record = leader.namespace(namespace)
    entry = launching.new_entry(leader.model, record, request.names, config, by=request.by)
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
    loads = loads_of(views(leader, record))
    head, chunks = plan_records(namespace, token(leader.ids), entries, placement, loads)
    changes.put(*chunks, head)
    reply = planned(entries, placement.hosts)
    await call.commit(changes, reply)
    return reply


def moved_ground(leader: Leader, plan: PlanRecord, record: NamespaceRecord) -> list[str]:
    """What has changed on the plan's hosts since it was made."""
    ground = ground_of(leader.model.chunks[plan.namespace, plan.plan].values())
    return difference(ground, views(leader, record))


async def dump_plan(leader: Leader, namespace: str, _: DumpPlan, __: Call) -> Planned:
    """The dry run as it was edited."""
    plan = current_plan(leader, namespace)
    entries = entries_of(leader, plan)
    notes = moved_ground(leader, plan, leader.namespace(namespace))
    return replace(planned(entries, placed_hosts(leader, plan, entries)), notes=tuple(notes))


async def move_planned(leader: Leader, namespace: str, request: MovePlanned, call: Call) -> Done:
    """Edit the dry run."""
    plan = current_plan(leader, namespace)
    record = leader.namespace(namespace)
    entries = entries_of(leader, plan)
    items = items_of(entries, leader.cluster.head)
    hosts = views(leader, record)
    edit = move(
        Placement(tuple(tuple(hosts) for hosts in placed_hosts(leader, plan, entries))),
        items,
        hosts,
        expand(request.vms),
        leader.cluster.head if request.host == "localhost" else request.host,
        residents=residents_of(leader.model, namespace),
        moved=expand(plan.moved) if plan.moved else (),
        force=request.force,
    )
    before = leader.model.chunks[namespace, plan.plan].values()
    loads = {**loads_of(hosts), **ground_of(before)}
    head, chunks = plan_records(namespace, plan.plan, entries, edit.placement, loads)
    changes = Changes()
    changes.delete(*before)
    changes.put(*chunks, replace(head, revision=plan.revision + 1, moved=fold(edit.moved)))
    reply = Done(notes=edit.notes)
    await call.commit(changes, reply)
    return reply


async def schedule(leader: Leader, namespace: str, request: Schedule, call: Call) -> Launched:
    """Launch the queue: as the dry run says, or as it is placed now; all of it, or what can be."""
    record = leader.namespace(namespace)
    plan = leader.model.dry_run(namespace)
    changes = Changes()
    changes.delete(*dry_run_records(leader, namespace))
    if plan is not None:
        entries = entries_of(leader, plan)
        placement, reasons, notes = _as_planned(leader, record, plan, request)
    else:
        entries = leader.model.queued(namespace)
        placement, reasons = _as_fits(leader, record, entries, partial=request.partial)
        notes = []
    if reasons:
        divided = divide(entries, placement, record.next_entry)
        if not divided.going:
            raise Unplaceable("none of the queued VMs can be placed", details=tuple(reasons))
        record = replace(record, next_entry=divided.next_entry)
        entries, placement = list(divided.going), divided.placement
        changes.put(*divided.staying)
    left = tuple(Failure(kind=Unplaceable.kind, code=Unplaceable.code, message=reason) for reason in reasons)
    reply = await carry_out_plan(leader, record, entries, placement, call, changes, left)
    return replace(reply, notes=(*notes, *reply.notes))


def _as_fits(
    leader: Leader, record: NamespaceRecord, entries: Sequence[QueueEntry], *, partial: bool
) -> tuple[Placement, list[str]]:
    """Place the queue now: all of it, or with `partial` what fits, and why the rest does not."""
    if not partial:
        return place_queue(leader, record, entries), []
    found = place_what_fits(leader, record, entries)
    return found.placement, [str(reason) for reason in found.reasons]


def _as_planned(
    leader: Leader, record: NamespaceRecord, plan: PlanRecord, request: Schedule
) -> tuple[Placement, list[str], list[str]]:
    """The dry run's placement, with `partial` without the hosts that take nothing any more; why; what has changed.

    PlanChanged, with all of that, for one that does not fit the cluster any more, unless it is forced.
    """
    entries = entries_of(leader, plan)
    items = items_of(entries, leader.cluster.head)
    placement = Placement(tuple(tuple(hosts) for hosts in placed_hosts(leader, plan, entries)))
    changed = moved_ground(leader, plan, record)
    hosts = views(leader, record)
    reasons: list[str] = []
    if request.partial:
        placement, reasons = without_barred(placement, items, hosts)
    problems = check_ground(
        placement, items, hosts, residents_of(leader.model, record.name), limit=limit_of(leader, record)
    )
    if problems and not request.force:
        raise PlanChanged(
            "the plan does not fit the cluster any more: run `ns schedule dry-run` again, or add `force`",
            details=(*problems, *changed),
        )
    return placement, reasons, changed
