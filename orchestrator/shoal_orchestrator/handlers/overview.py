"""Handler of the cluster at a glance. Costs a look at each host and namespace, never one at each VM."""

from __future__ import annotations

import heapq

from shoal.core.ranges import natural_key, natural_order
from shoal.messages.events import Event
from shoal.messages.overview import NamespaceCounts, Overview, PastEvent, RunningSchedule, ShowOverview
from shoal.version import version
from shoal_orchestrator.handlers.hosts import host_row
from shoal_orchestrator.leader import Call, Leader

#: what one answer holds at most, so that no limit of the asker makes it too large for a message
_MOST_ROWS = 500
_MAX_REASON = 200
_SCHEDULES = 20


async def show_overview(leader: Leader, _: str, request: ShowOverview, __: Call) -> Overview:
    """The cluster now."""
    inventory, model = leader.inventory, leader.model
    limit = max(0, min(request.limit, _MOST_ROWS))
    recent = list(leader.events.recent)[-request.events :] if request.events > 0 else []
    return Overview(
        epoch=leader.store.fence.epoch,
        version=version(),
        hosts=dict(inventory.host_states()),
        vms=dict(inventory.vm_counts.total()),
        queued=model.queued_vms.total(),
        items=tuple(host_row(leader, host) for host in _hosts(leader, limit)),
        namespaces=_namespaces(leader, limit),
        other_namespaces=max(0, len(model.namespaces) - limit),
        schedules=_schedules(leader),
        events=tuple(_past(event) for event in recent),
        happened=leader.events.count,
    )


def _hosts(leader: Leader, limit: int) -> list[str]:
    """All hosts, or those that are not well and the fullest, by name."""
    model, inventory = leader.model, leader.inventory
    if len(model.hosts) <= limit:
        return natural_order(model.hosts)

    def interest(host: str) -> tuple[bool, int]:
        return inventory.state(host) != "alive", model.loads[host].memory_mib if host in model.loads else 0

    return natural_order(heapq.nlargest(limit, model.hosts, key=interest))


def _namespaces(leader: Leader, limit: int) -> tuple[NamespaceCounts, ...]:
    """The namespaces with most VMs, by name."""
    counts, queued = leader.inventory.vm_counts.by_namespace(), leader.model.queued_vms

    def size(name: str) -> int:
        return (counts[name].total() if name in counts else 0) + queued[name]

    names = heapq.nlargest(limit, leader.model.namespaces, key=size)
    return tuple(
        NamespaceCounts(namespace=name, vms=dict(counts.get(name, {})), queued=queued[name])
        for name in sorted(names, key=natural_key)
    )


def _schedules(leader: Leader) -> tuple[RunningSchedule, ...]:
    found = []
    for (namespace, name), done in list(leader.launching.items())[:_SCHEDULES]:
        plan = leader.model.plans[namespace].get(name)
        if plan is not None:
            found.append(
                RunningSchedule(
                    namespace=namespace,
                    plan=name,
                    start=plan.started,
                    done=done,
                    total=plan.total,
                    hosts=plan.hosts,
                )
            )
    return tuple(found)


def _past(event: Event) -> PastEvent:
    return PastEvent(
        id=event.id,
        at=event.at,
        namespace=event.namespace,
        noun=event.noun,
        what=event.what,
        name=event.name,
        host=getattr(event, "host", ""),
        reason=(getattr(event, "reason", "") or getattr(event, "change", ""))[:_MAX_REASON],
    )
