"""What the leader does by itself: segments that follow their ports, tombstones, events of VMs, unfinished work.

Refuses to know requests.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal import subjects
from shoal.messages.desired import SegmentRecord, TapStatus, VMStatus
from shoal.messages.events import (
    Event,
    HostAlive,
    HostLost,
    HostSuspect,
    TapCreated,
    TapRemoved,
    VMEvent,
    VMFailed,
    VMLaunched,
    VMPaused,
    VMQuit,
    VMRemoved,
    VMStarted,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.observed import HostState
from shoal_orchestrator.core.segments import segment_changes
from shoal_orchestrator.core.uplinks import uplink_changes
from shoal_orchestrator.handlers.carrying_out import resume_plan
from shoal_orchestrator.handlers.collecting import collect
from shoal_orchestrator.handlers.namespaces import resume_clearing
from shoal_orchestrator.handlers.saving import end_abandoned_save
from shoal_orchestrator.leader import Leader

LOG = structlog.get_logger("shoal.background")
GATHER_S = 0.2
#: what captures came to and could not be collected is tried again after this
COLLECT_AGAIN_S = 30.0

_STATE_EVENTS: dict[str, type[VMEvent]] = {
    "BUILDING": VMLaunched,
    "RUNNING": VMStarted,
    "PAUSED": VMPaused,
    "QUIT": VMQuit,
    "ERROR": VMFailed,
}
_HOST_EVENTS: dict[HostState, type[Event]] = {"alive": HostAlive, "suspect": HostSuspect, "lost": HostLost}


class Background:
    """Follows what hosts report, and what changes in the model."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        self._collect_after: dict[str, float] = {}
        leader.inventory.vm_listeners.append(self._on_vm)
        leader.inventory.tap_listeners.append(self._on_tap)
        leader.inventory.host_listeners.append(self._on_host)
        leader.inventory.capture_listeners.append(self._on_captures)

    def resume(self) -> None:
        """Go on with what a predecessor began: plans that were saved, namespaces that were being cleared or saved."""
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
        model = self._leader.model
        if now.gone:
            self._bury_vm(host, now)
            return
        if now.orphan or (before is not None and before.state == now.state):
            return
        record = model.instances.get(now.instance)
        kind = _STATE_EVENTS.get(now.state)
        if record is None or kind is None or now.revision < 1:
            return
        self._leader.events.publish(
            [
                kind(
                    namespace=now.namespace,
                    name=now.name,
                    host=host,
                    instance=now.instance,
                    reason=now.reason,
                    id=f"{now.instance}-{now.revision}-{now.state}",
                )
            ]
        )

    def _bury_vm(self, host: str, status: VMStatus) -> None:
        """The host has ended a VM for good and written that down: its record can go."""
        subject = subjects.launch(host, status.namespace, status.name)
        record = self._leader.model.leaving.get(subject)
        if record is None or record.instance != status.instance:
            return
        changes = Changes()
        changes.delete(record)
        changes.tell(
            VMRemoved(
                namespace=record.namespace,
                name=record.name,
                host=host,
                instance=record.instance,
                id=f"{record.instance}-removed",
            )
        )
        self._leader.spawn(self._leader.commit(changes), "bury-vm")

    def _on_tap(self, host: str, status: TapStatus) -> None:
        record = self._leader.model.taps[status.namespace].get((host, status.tap))
        if record is None:
            return
        names = {"namespace": status.namespace, "name": status.tap, "host": host}
        if status.gone and record.removed:
            changes = Changes()
            changes.delete(record)
            if not record.trunk:
                changes.tell(TapRemoved(**names))
            self._leader.spawn(self._leader.commit(changes), "bury-tap")
        elif status.up and not record.trunk:
            self._leader.events.publish(
                [TapCreated(**names, id=f"tap-{host}-{status.tap}-{status.revision}")]
            )

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

    def _on_host(self, host: str, _: HostState, now: HostState) -> None:
        kind = _HOST_EVENTS.get(now)
        if kind is not None:
            self._leader.events.publish([kind(name=host)])
