"""What the commands about plans share: the queue placed on the namespace's hosts, and plans as records and rows.

Refuses to commit anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shoal.core.load import Load, Quota, parse_policy
from shoal.errors import Refused
from shoal.messages.schedule import Planned, PlannedVM
from shoal_orchestrator.core.demand import items_of, names_of, promised_to, residents_of, views_of
from shoal_orchestrator.core.placement import HostView, NamespaceLimit, Placement
from shoal_orchestrator.core.plans import chunks_of, hosts_of
from shoal_orchestrator.core.records import NamespaceRecord, PlanChunk, PlanRecord, QueueEntry
from shoal_orchestrator.core.scheduler import Partial, place, place_some
from shoal_orchestrator.leader import Leader

MUST_DRY_RUN = "must run dry-run first"


def dry_run_records(leader: Leader, namespace: str) -> list[PlanRecord | PlanChunk]:
    """The records of the namespace's dry run, if there is one."""
    plan = leader.model.dry_run(namespace)
    if plan is None:
        return []
    return [*leader.model.chunks[namespace, plan.plan].values(), plan]


def views(leader: Leader, record: NamespaceRecord) -> list[HostView]:
    """The namespace's hosts as the planner sees them."""
    return views_of(leader.model, leader.hosts_of(record), leader.inventory.hosts)


def place_queue(leader: Leader, record: NamespaceRecord, entries: Sequence[QueueEntry]) -> Placement:
    """Place entries of the queue by the namespace's load policy. Raises Refused and Unplaceable."""
    return place(
        items_of(entries, leader.cluster.head),
        views(leader, record),
        parse_policy(record.policy),
        relative=record.relative,
        residents=residents_of(leader.model, record.name),
        limit=limit_of(leader, record),
    )


def place_what_fits(leader: Leader, record: NamespaceRecord, entries: Sequence[QueueEntry]) -> Partial:
    """Place as many of the queue's VMs as there is room for. Raises Refused."""
    return place_some(
        items_of(entries, leader.cluster.head),
        views(leader, record),
        parse_policy(record.policy),
        relative=record.relative,
        residents=residents_of(leader.model, record.name),
        limit=limit_of(leader, record),
    )


def limit_of(leader: Leader, record: NamespaceRecord) -> NamespaceLimit | None:
    """What the namespace may be promised, and is; None without a limit."""
    if record.limits == Quota():
        return None
    used = promised_to(leader.model, record.name)
    return NamespaceLimit(namespace=record.name, quota=record.limits, used=used)


def plan_records(
    namespace: str,
    plan: str,
    entries: Sequence[QueueEntry],
    placement: Placement,
    loads: Mapping[str, Load],
) -> tuple[PlanRecord, list[PlanChunk]]:
    """A placement as the records of a dry run: its head, and its chunks. `loads` are those that it is based on."""
    chunks = chunks_of(namespace, plan, entries, placement.hosts, loads)
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


def loads_of(hosts: Sequence[HostView]) -> dict[str, Load]:
    """What is promised on each host."""
    return {host.name: host.load for host in hosts}


def planned(entries: Sequence[QueueEntry], hosts: Sequence[Sequence[str]]) -> Planned:
    """A placement as it is shown."""
    rows: list[PlannedVM] = []
    for entry, of_entry in zip(entries, hosts, strict=True):
        names = names_of(entry) or ("",) * entry.count
        rows.extend(PlannedVM(vm=name, dst=host) for name, host in zip(names, of_entry, strict=True))
    return Planned(items=tuple(rows))


def entries_of(leader: Leader, plan: PlanRecord) -> list[QueueEntry]:
    """The queue entries that a plan places."""
    queue = leader.model.queues[plan.namespace]
    return [queue[number] for number in plan.entries if number in queue]


def placed_hosts(leader: Leader, plan: PlanRecord, entries: Sequence[QueueEntry]) -> list[list[str]]:
    """Where a stored plan puts each VM of `entries`."""
    return hosts_of(entries, leader.model.chunks[plan.namespace, plan.plan].values())


def current_plan(leader: Leader, namespace: str) -> PlanRecord:
    """The namespace's dry run. Raises Refused when there is none."""
    leader.namespace(namespace)
    plan = leader.model.dry_run(namespace)
    if plan is None:
        raise Refused(MUST_DRY_RUN)
    return plan
