"""The way from a placement to its VMs: the plan is saved, its launches are published, the hosts are waited for.

Refuses to know how the placement came about. A plan that was begun is finished, also by the next leader.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence

import structlog
from msgspec.structs import replace
from structlog.contextvars import bound_contextvars

from shoal.core.ids import token
from shoal.core.ranges import fold
from shoal.errors import NotFound, Refused
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.events import ScheduleCompleted, ScheduleStarted
from shoal.messages.schedule import Launched, ScheduleRow, ScheduleRuns, ScheduleStatus
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.records import NamespaceRecord, PlanRecord, QueueEntry
from shoal_orchestrator.handlers.planning import entries_of, placed_hosts, plan_records
from shoal_orchestrator.handlers.vms import view_of
from shoal_orchestrator.leader import Call, Leader
from shoal_orchestrator.store import SLICE

LOG = structlog.get_logger("shoal.schedule")
#: finished runs that `ns schedule status` still shows
RUNS_KEPT = 20


async def carry_out_plan(
    leader: Leader,
    record: NamespaceRecord,
    entries: Sequence[QueueEntry],
    placement: Placement,
    call: Call,
    changes: Changes,
    left: tuple[Failure, ...] = (),
) -> Launched:
    """Save the plan with all that it consumes, then carry it out and wait for the hosts.

    `left` tells of VMs that stay in the queue; the reply has it among the failures.
    """
    namespace = record.name
    head, chunks = plan_records(namespace, token(leader.ids), entries, placement, {})
    begun, fixed = launching.begin(leader.model, record, head, entries)
    head = replace(begun, state="running", started=now_text(), request=call.name)
    changes.writes.update(fixed.writes)
    changes.put(*chunks, head)
    queue = leader.model.queues[namespace]
    new = [entry for entry in entries if entry.entry not in queue]
    if len(changes.writes) + len(new) >= SLICE:
        raise Refused(
            f"too much of the queue would be divided at once ({len(new)} entries): add hosts, or flush some of it"
        )
    # All of that, the request's record too, is in one batch. That other entries are consumed is written with them or
    # after them: the plan names them.
    changes.put(*(replace(entry, plan=head.plan) for entry in (*new, *entries)))
    changes.tell(ScheduleStarted(namespace=namespace, name=head.plan, total=head.total, hosts=head.hosts))
    await call.commit(changes, plan=head.plan)
    LOG.info("plan-saved", namespace=namespace, plan=head.plan, total=head.total, hosts=head.hosts)
    launched = await run_plan(leader, head, call.progress)
    launched = replace(launched, failures=(*left, *launched.failures))
    await call.commit(Changes(), launched)
    return launched


async def resume_plan(leader: Leader, plan: PlanRecord) -> None:
    """Finish a plan that a predecessor saved.

    NotFound when its namespace is not there, as in a store that went backwards and was written to: it stays as it is.
    """
    if plan.namespace not in leader.model.namespaces:
        raise NotFound(
            f"cannot finish plan {plan.plan} of the namespace `{plan.namespace}`, which is not there: "
            "has the store gone backwards? `shoal doctor` tells",
            names=(plan.namespace,),
        )
    if leader.model.namespaces[plan.namespace].clearing:
        return  # who clears it takes the plan away
    consumed = Changes()
    consumed.put(*(replace(each, plan=plan.plan) for each in entries_of(leader, plan) if not each.plan))
    stored = leader.store.submit(consumed)
    with bound_contextvars(request=plan.request):
        await stored
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
    leader.launching[plan.namespace, plan.plan] = 0
    try:
        return await _run_plan(leader, plan, progress)
    finally:
        del leader.launching[plan.namespace, plan.plan]


async def _run_plan(leader: Leader, plan: PlanRecord, progress: Callable[[int, int, str], None]) -> Launched:
    progress(0, plan.total, "launching")
    entries = entries_of(leader, plan)
    hosts = placed_hosts(leader, plan, entries)
    try:
        async with asyncio.TaskGroup() as storing:
            for records, at in launching.launches(leader.model, plan, entries, hosts, leader.ids):
                plan = replace(plan, reached=at.reached, published=at.published)
                changes = Changes()
                changes.put(*records, plan)
                storing.create_task(_publish(leader, plan, changes), name="launches")
                # The model has taken it in by then; the store works on it while the next slice is made.
                await asyncio.sleep(0)
    except ExceptionGroup as failed:
        # The store is lost to all of them alike; a caller is told of one error, not of a group.
        raise failed.exceptions[0] from failed
    _check_wanted(leader, plan)
    # From here on nothing is launched by it, however many batches it takes to forget what it was.
    plan = replace(plan, entries=())
    changes = Changes()
    changes.put(plan)
    changes.delete(*leader.model.chunks[plan.namespace, plan.plan].values())
    changes.delete(*(each for each in leader.model.queues[plan.namespace].values() if each.plan == plan.plan))
    await leader.commit(changes)
    LOG.info("plan-published", namespace=plan.namespace, plan=plan.plan)
    ours = [r for r in leader.model.launches[plan.namespace].values() if r.plan == plan.plan]

    def done(count: int) -> None:
        leader.launching[plan.namespace, plan.plan] = count
        progress(count, plan.total, "launching")

    await leader.inventory.carried_out(ours, done)
    return await _close(leader, plan, ours)


async def _publish(leader: Leader, plan: PlanRecord, changes: Changes) -> None:
    # In one step: between a look and the commit somebody could take the plan away.
    _check_wanted(leader, plan)
    await leader.commit(changes)


def _check_wanted(leader: Leader, plan: PlanRecord) -> None:
    """Raise NotFound or Refused when a plan was taken away meanwhile: nothing of it may be launched any more."""
    leader.namespace(plan.namespace)
    if plan.plan not in leader.model.plans[plan.namespace]:
        raise Refused(f"plan {plan.plan} of namespace {plan.namespace} was given up while it was carried out")


def _launched(leader: Leader, records: Sequence[LaunchRecord]) -> Launched:
    """What became of a plan's VMs."""
    good, failures = [], []
    for record in records:
        current = leader.model.instances.get(record.instance)
        seen = view_of(leader, current) if current is not None else None
        if seen is not None and seen.state in ("ERROR", "LOST"):
            message = f"{record.name}: {seen.reason}"
            failures.append(Failure(kind="Refused", code=409, message=message, names=(record.name,)))
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
    record = leader.model.namespaces.get(plan.namespace)
    if record is not None and not record.clearing and plan.plan in leader.model.plans[plan.namespace]:
        await leader.commit(changes)
    LOG.info(
        "plan-completed",
        namespace=plan.namespace,
        plan=plan.plan,
        launched=launched.count,
        failures=len(launched.failures),
    )
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
