"""The gauges of a term: what the leader's parts hold now, asked for when somebody looks.

Refuses to know how they are read. Costs a look at each host, never one at each VM.
"""

from __future__ import annotations

from collections.abc import Iterator

from shoal.metrics.protocol import Read, Reading
from shoal_orchestrator import measures
from shoal_orchestrator.leader import Leader


def readings_of(leader: Leader) -> Read:
    """The gauges of the term that this orchestrator leads."""

    def read() -> Iterator[Reading]:
        model, inventory = leader.model, leader.inventory
        yield Reading(measures.LEADING, 1)
        yield Reading(measures.RUNNING_REQUESTS, leader.requests_running)
        yield Reading(measures.EPOCH, leader.store.fence.epoch)
        for state, count in inventory.host_states().items():
            yield Reading(measures.HOSTS, count, (state,))
        for name, count in inventory.vm_counts.total().items():
            yield Reading(measures.VMS, count, (name,))
        yield Reading(measures.QUEUED, model.queued_vms.total())
        yield Reading(measures.NAMESPACES, len(model.namespaces))
        yield Reading(measures.SCHEDULES, len(leader.launching))
        yield Reading(measures.RECORDS, len(model.records))
        yield Reading(measures.WAITING_WRITES, leader.store.waiting)
        yield Reading(measures.WAITING_EVENTS, leader.events.waiting)

    return read
