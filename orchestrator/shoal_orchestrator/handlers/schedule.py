"""Handlers of the queue and the scheduler: queue, plan, edit, apply, and the way from a saved plan to its VMs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace

from shoal.core.ids import token
from shoal.core.load import parse_policy
from shoal.core.ranges import expand, fold, natural_order
from shoal.errors import PlanChanged, Refused
from shoal.messages.base import Done, Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.events import (
    ScheduleCompleted,
    ScheduleStarted,
    VMsQueued,
)
from shoal.messages.schedule import (
    DryRun,
    DumpPlan,
    Launched,
    MovePlanned,
    Planned,
    PlannedVM,
    Schedule,
    ScheduleRow,
    ScheduleRuns,
    ScheduleStatus,
)
from shoal.messages.vms import LaunchVMs
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import items_of, names_of, residents_of, views_of
from shoal_orchestrator.core.moves import move
from shoal_orchestrator.core.placement import HostView, Placement
from shoal_orchestrator.core.plans import chunks_of, hosts_of
from shoal_orchestrator.core.records import NamespaceRecord, PlanChunk, PlanRecord, QueueEntry
from shoal_orchestrator.core.scheduler import place
from shoal_orchestrator.handlers.configs import saved_config
from shoal_orchestrator.handlers.vms import view_of
from shoal_orchestrator.leader import Call, Leader

LOG = structlog.get_logger("shoal.schedule")
MUST_DRY_RUN = "must run dry-run first"
#: finished runs that `ns schedule status` still shows
RUNS_KEPT = 20


def dry_run_records(leader: Leader, namespace: str) -> list[PlanRecord | PlanChunk]:
    """The records of the namespace's dry run, if there is one."""
    plan = leader.model.dry_run(namespace)
    if plan is None:
        return []
    return [*leader.model.chunks[namespace, plan.plan].values(), plan]


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
        placement = _place(leader, record, entries)
        reply = await _apply(leader, record, entries, placement, call, changes)
        return replace(reply, notes=(*notes, *reply.notes))
    changes.put(record, entry)
    vms = entry.names or str(entry.count)
    changes.tell(VMsQueued(namespace=namespace, name=str(entry.entry), vms=vms, count=entry.count))
    reply = Launched(queued=entry.count, notes=notes)
    await call.commit(changes, reply)
    return reply


# --- planning --------------------------------------------------------------------------------------------


def _views(leader: Leader, record: NamespaceRecord) -> list[HostView]:
    return views_of(leader.model, leader.hosts_of(record), leader.inventory.hosts)


def _place(leader: Leader, record: NamespaceRecord, entries: Sequence[QueueEntry]) -> Placement:
    return place(
        items_of(entries, leader.cluster.head),
        _views(leader, record),
        parse_policy(record.policy),
        relative=record.relative,
        residents=residents_of(leader.model, record.name),
    )


def _plan_records(
    namespace: str, plan: str, entries: Sequence[QueueEntry], placement: Placement
) -> tuple[PlanRecord, list[PlanChunk]]:
    chunks = chunks_of(namespace, plan, entries, placement.hosts)
    hosts = {host for of_entry in placement.hosts for host in of_entry}
    head = PlanRecord(
        namespace=namespace,
        plan=plan,
        revision=1,
        state="dry-run",
        entries=tuple(entry.entry for entry in entries),
        chunks=len(chunks),
        total=sum(entry.count for entry in entries),
        hosts=len(hosts),
    )
    return head, chunks


async def dry_run(leader: Leader, namespace: str, _: DryRun, call: Call) -> Planned:
    """Plan the queue and keep the plan."""
    record = leader.namespace(namespace)
    entries = leader.model.queued(namespace)
    placement = _place(leader, record, entries)
    changes = Changes()
    changes.delete(*dry_run_records(leader, namespace))
    head, chunks = _plan_records(namespace, token(leader.ids), entries, placement)
    changes.put(*chunks, head)
    reply = _planned(entries, placement.hosts)
    await call.commit(changes, reply)
    return reply


def _planned(entries: Sequence[QueueEntry], hosts: Sequence[Sequence[str]]) -> Planned:
    rows: list[PlannedVM] = []
    for entry, of_entry in zip(entries, hosts, strict=True):
        names = names_of(entry) or ("",) * entry.count
        rows.extend(PlannedVM(vm=name, dst=host) for name, host in zip(names, of_entry, strict=True))
    return Planned(items=tuple(rows))


def _entries_of(leader: Leader, plan: PlanRecord) -> list[QueueEntry]:
    queue = leader.model.queues[plan.namespace]
    return [queue[number] for number in plan.entries if number in queue]


def _hosts_of(leader: Leader, plan: PlanRecord, entries: Sequence[QueueEntry]) -> list[list[str]]:
    return hosts_of(entries, leader.model.chunks[plan.namespace, plan.plan].values())


def _current(leader: Leader, namespace: str) -> PlanRecord:
    leader.namespace(namespace)
    plan = leader.model.dry_run(namespace)
    if plan is None:
        raise Refused(MUST_DRY_RUN)
    return plan


async def dump_plan(leader: Leader, namespace: str, _: DumpPlan, __: Call) -> Planned:
    """The dry run as it was edited."""
    plan = _current(leader, namespace)
    entries = _entries_of(leader, plan)
    return _planned(entries, _hosts_of(leader, plan, entries))


async def move_planned(leader: Leader, namespace: str, request: MovePlanned, call: Call) -> Done:
    """Edit the dry run."""
    plan = _current(leader, namespace)
    record = leader.namespace(namespace)
    entries = _entries_of(leader, plan)
    items = items_of(entries, leader.cluster.head)
    edit = move(
        Placement(tuple(tuple(hosts) for hosts in _hosts_of(leader, plan, entries))),
        items,
        _views(leader, record),
        expand(request.vms),
        leader.cluster.head if request.host == "localhost" else request.host,
        residents=residents_of(leader.model, namespace),
        moved=expand(plan.moved) if plan.moved else (),
        force=request.force,
    )
    head, chunks = _plan_records(namespace, plan.plan, entries, edit.placement)
    changes = Changes()
    changes.delete(*leader.model.chunks[namespace, plan.plan].values())
    changes.put(*chunks, replace(head, revision=plan.revision + 1, moved=fold(edit.moved)))
    reply = Done(notes=edit.notes)
    await call.commit(changes, reply)
    return reply


# --- applying --------------------------------------------------------------------------------------------


async def schedule(leader: Leader, namespace: str, request: Schedule, call: Call) -> Launched:
    """Launch the queue: as the dry run says, or as it is placed now."""
    record = leader.namespace(namespace)
    plan = leader.model.dry_run(namespace)
    changes = Changes()
    if plan is None:
        entries = leader.model.queued(namespace)
        placement = _place(leader, record, entries)
    else:
        entries = _entries_of(leader, plan)
        placement = Placement(tuple(tuple(hosts) for hosts in _hosts_of(leader, plan, entries)))
        if not request.force:
            _check_ground(_views(leader, record), placement)
        changes.delete(*dry_run_records(leader, namespace))
    return await _apply(leader, record, entries, placement, call, changes)


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


async def _apply(
    leader: Leader,
    record: NamespaceRecord,
    entries: Sequence[QueueEntry],
    placement: Placement,
    call: Call,
    changes: Changes,
) -> Launched:
    """Save the plan with all that it consumes, then carry it out and wait for the hosts."""
    namespace = record.name
    head, chunks = _plan_records(namespace, token(leader.ids), entries, placement)
    begun, fixed = launching.begin(leader.model, record, head, entries)
    head = replace(begun, state="running", started=now_text())
    changes.writes.update(fixed.writes)
    changes.put(*chunks, head)
    changes.put(*(replace(entry, plan=head.plan) for entry in entries))
    changes.tell(ScheduleStarted(namespace=namespace, name=head.plan, total=head.total, hosts=head.hosts))
    await call.commit(changes, plan=head.plan)
    launched = await run_plan(leader, head, call.progress)
    await call.commit(Changes(), launched)
    return launched


async def resume_plan(leader: Leader, plan: PlanRecord) -> None:
    """Finish a plan that a predecessor saved."""
    LOG.info("plan-resumed", namespace=plan.namespace, plan=plan.plan)
    await run_plan(leader, plan, lambda *_: None)


async def await_plan(leader: Leader, namespace: str, plan: str, call: Call) -> Launched:
    """Wait for a plan that this request has saved before, and tell what came of it."""

    def done() -> bool:
        current = leader.model.plans[namespace].get(plan)
        return current is None or current.state == "completed"

    await leader.inventory.wait_for(done)
    ours = [r for r in leader.model.launches[namespace].values() if r.plan == plan]
    launched = _launched(leader, ours)
    await call.commit(Changes(), launched)
    return launched


async def run_plan(leader: Leader, plan: PlanRecord, progress: Callable[[int, int, str], None]) -> Launched:
    """Publish the launch of each VM that has none yet, wait for the hosts, and close the plan."""
    entries = _entries_of(leader, plan)
    hosts = _hosts_of(leader, plan, entries)
    for records in launching.launches(leader.model, plan, entries, hosts, leader.ids):
        changes = Changes()
        changes.put(*records)
        await leader.commit(changes)
    changes = Changes()
    changes.delete(*entries, *leader.model.chunks[plan.namespace, plan.plan].values())
    await leader.commit(changes)
    ours = [r for r in leader.model.launches[plan.namespace].values() if r.plan == plan.plan]
    await leader.inventory.carried_out(ours, lambda done: progress(done, plan.total, "launching"))
    return await _close(leader, plan, ours)


def _launched(leader: Leader, records: Sequence[LaunchRecord]) -> Launched:
    """What became of a plan's VMs."""
    good, failures = [], []
    for record in records:
        current = leader.model.instances.get(record.instance)
        seen = view_of(leader, current) if current is not None else None
        if seen is not None and seen.state in ("ERROR", "LOST"):
            message = f"{record.name}: {seen.reason}"
            failures.append(Failure(kind="Refused", code=409, message=message))
        else:
            good.append(record.name)
    waiting = {
        record.host
        for record in records
        if leader.inventory.state(record.host) == "suspect" and leader.inventory.status(record) is None
    }
    late = f"{fold(waiting)}: heartbeats are missing; VMs there are launched when they come back"
    return Launched(
        launched=fold(good), count=len(good), failures=tuple(failures), notes=(late,) if waiting else ()
    )


async def _close(leader: Leader, plan: PlanRecord, records: Sequence[LaunchRecord]) -> Launched:
    launched = _launched(leader, records)
    changes = Changes()
    changes.put(
        replace(
            plan,
            state="completed",
            ended=now_text(),
            entries=(),
            chunks=0,
            launched=launched.count,
            failures=len(launched.failures),
        )
    )
    finished = [p for p in leader.model.plans[plan.namespace].values() if p.state == "completed"]
    oldest = sorted(finished, key=lambda p: p.ended)[: max(0, len(finished) + 1 - RUNS_KEPT)]
    changes.delete(*oldest)
    changes.tell(
        ScheduleCompleted(
            namespace=plan.namespace, name=plan.plan, launched=launched.count, failures=len(launched.failures)
        )
    )
    if plan.namespace in leader.model.namespaces and not leader.model.namespaces[plan.namespace].clearing:
        await leader.commit(changes)
    return launched


async def schedule_status(leader: Leader, namespace: str, _: ScheduleStatus, __: Call) -> ScheduleRuns:
    """The runs of the scheduler, with counts as they are now."""
    leader.namespace(namespace)
    rows = []
    for plan in sorted(leader.model.plans[namespace].values(), key=lambda p: p.started):
        if plan.state == "dry-run":
            continue
        launched, failures = plan.launched, plan.failures
        if plan.state == "running":
            states = Counter(
                view_of(leader, record).state
                for record in leader.model.launches[namespace].values()
                if record.plan == plan.plan and leader.inventory.status(record) is not None
            )
            failures = states["ERROR"]
            launched = states.total() - failures
        rows.append(
            ScheduleRow(
                start=plan.started,
                end=plan.ended,
                state=plan.state,
                launched=launched,
                failures=failures,
                total=plan.total,
                hosts=plan.hosts,
            )
        )
    return ScheduleRuns(items=tuple(rows))
