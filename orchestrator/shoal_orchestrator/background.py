"""What the leader does by itself: segments that follow their ports, tombstones, events of VMs, unfinished work.

Refuses to know requests.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal import subjects
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord, TapStatus, VMStatus
from shoal.messages.events import Event, TapRemoved, VMRemoved
from shoal_orchestrator.core import present
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.observed import HostState
from shoal_orchestrator.core.segments import segment_changes
from shoal_orchestrator.core.uplinks import uplink_changes
from shoal_orchestrator.event_gaps import publish_missing
from shoal_orchestrator.handlers.carrying_out import resume_plan
from shoal_orchestrator.handlers.collecting import collect
from shoal_orchestrator.handlers.namespaces import resume_clearing
from shoal_orchestrator.handlers.saving import end_abandoned_save
from shoal_orchestrator.leader import Leader

LOG = structlog.get_logger("shoal.background")
#: between two looks whether a frozen store has thawed
FROZEN_S = 1.0
GATHER_S = 0.2
#: what captures came to and could not be collected is tried again after this
COLLECT_AGAIN_S = 30.0


class Background:
    """Follows what hosts report, and what changes in the model."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._collect_after: dict[str, float] = {}
        #: records that can go, and the events that tell of it: all of a report in one commit
        self._graves: dict[str, tuple[LaunchRecord | TapRecord, tuple[Event, ...]]] = {}
        leader.inventory.vm_listeners.append(self._on_vm)
        leader.inventory.tap_listeners.append(self._on_tap)
        leader.inventory.host_listeners.append(self._on_host)
        leader.inventory.capture_listeners.append(self._on_captures)

    def resume(self) -> None:
        """Go on with what a predecessor began: plans that were saved, namespaces that were being cleared or saved.

        What it did not come to tell is told.
        """
        self._leader.spawn(publish_missing(self._leader), "missing-events")
        model = self._leader.model
        for record in list(model.namespaces.values()):
            if record.clearing:
                self._leader.spawn(resume_clearing(self._leader, record.name), f"clear {record.name}")
            elif record.save is not None and record.save.state == "running":
                self._leader.spawn(end_abandoned_save(self._leader, record.name), f"save {record.name}")
        for plans in list(model.plans.values()):
            for plan in list(plans.values()):
                if plan.state == "running":
                    self._leader.spawn(resume_plan(self._leader, plan), f"plan {plan.plan}")

    async def run(self) -> None:
        """Keep segments up to date with the ports in them, gathered for 0.2 s; bury what hosts have removed."""
        model = self._leader.model
        waiting: set[int] = set(model.segments) | set(model.ports)
        while True:
            if self._leader.store.frozen:
                await asyncio.sleep(FROZEN_S)
                continue
            if self._graves:
                await self._close_graves()
            waiting |= model.take_touched()
            waiting |= {vni for vni, record in model.segments.items() if record.removed}
            changes = Changes()
            changes.put(*segment_changes(model, self._leader.cluster, waiting))
            changes.put(*uplink_changes(model))
            changes.delete(*self._unused())
            waiting = set()
            if changes:
                await self._leader.commit(changes)
            await asyncio.sleep(GATHER_S)

    def _unused(self) -> list[SegmentRecord]:
        """Segments that were removed, and that no host has any more."""
        model, inventory = self._leader.model, self._leader.inventory
        return [
            record
            for vni, record in model.segments.items()
            if record.removed and not model.ports[vni] and not inventory.segment_hosts(vni)
        ]

    # --- what hosts report -------------------------------------------------------------------------------

    def _on_vm(self, host: str, before: VMStatus | None, now: VMStatus) -> None:
        if now.gone:
            self._bury_vm(host, now)
            return
        record = self._leader.model.instances.get(now.instance)
        event = None if record is None else present.of_vm(record, now)
        if event is None:
            return
        # It was told before, as to a predecessor, when the host only says it again.
        changed = before is not None and before.state != now.state
        told = self._leader.events.told
        if told.lacks(event) or (changed and not told.known):
            self._leader.events.publish([event])

    def _bury_vm(self, host: str, status: VMStatus) -> None:
        """The host has ended a VM for good and written that down: its record can go."""
        subject = subjects.launch(host, status.namespace, status.name)
        record = self._leader.model.leaving.get(subject)
        if record is None or record.instance != status.instance:
            return
        self._bury(
            record,
            VMRemoved(
                namespace=record.namespace,
                name=record.name,
                host=host,
                instance=record.instance,
                id=f"{record.instance}-removed",
            ),
        )

    def _bury(self, record: LaunchRecord | TapRecord, *events: Event) -> None:
        if not self._graves:
            self._leader.spawn(self._close_graves(), "bury")
        self._graves.setdefault(subject_of(record), (record, events))

    async def _close_graves(self) -> None:
        if self._leader.store.frozen:
            return  # `run` does it when the store has thawed
        graves, self._graves = self._graves, {}
        changes = Changes()
        for subject, (record, events) in graves.items():
            # Since the report came, the next VM of that name may have got the place.
            if self._leader.model.records.get(subject) == record:
                changes.delete(record)
                changes.tell(*events)
        await self._leader.commit(changes)

    def _on_tap(self, host: str, status: TapStatus) -> None:
        record = self._leader.model.taps[status.namespace].get((host, status.tap))
        if record is None:
            return
        if status.gone and record.removed:
            removed = TapRemoved(namespace=status.namespace, name=status.tap, host=host)
            self._bury(record, *(() if record.trunk else (removed,)))
        created = present.of_tap(record, status)
        if created is not None and self._leader.events.told.lacks(created):
            self._leader.events.publish([created])

    def _on_captures(self, host: str) -> None:
        """Captures have ended with their VMs or links: what they came to gets its names."""
        now = asyncio.get_running_loop().time()
        if not self._leader.collecting[host].locked() and self._collect_after.get(host, now) <= now:
            self._leader.spawn(self._collect(host), "collect-captures")

    async def _collect(self, host: str) -> None:
        collected = await collect(self._leader, [host])
        for failure in collected.failures:
            LOG.warning("captures-not-collected", host=host, error=failure.message)
            self._collect_after[host] = asyncio.get_running_loop().time() + COLLECT_AGAIN_S

    def _on_host(self, host: str, before: HostState, now: HostState) -> None:
        event, told = present.of_host(host, now), self._leader.events.told
        if event is not None and (told.lacks(event) or (before != "unknown" and not told.known)):
            self._leader.events.publish([event])
