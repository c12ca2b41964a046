"""The event that tells what an object is now.

This module refuses to know which events were published before.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from shoal.messages.desired import LaunchRecord, TapRecord, TapStatus, VMStatus
from shoal.messages.events import (
    BridgeCreated,
    Event,
    HostAlive,
    HostLost,
    HostSuspect,
    NamespaceCreated,
    ScheduleCompleted,
    ScheduleStarted,
    TapCreated,
    VMEvent,
    VMFailed,
    VMLaunched,
    VMPaused,
    VMQuit,
    VMsQueued,
    VMStarted,
)
from shoal_orchestrator.core.observed import HostState
from shoal_orchestrator.core.records import NamespaceRecord, PlanRecord, QueueEntry

_OF_STATE: Mapping[str, type[VMEvent]] = {
    "BUILDING": VMLaunched,
    "RUNNING": VMStarted,
    "PAUSED": VMPaused,
    "QUIT": VMQuit,
    "ERROR": VMFailed,
}
_OF_HOST: Mapping[HostState, type[Event]] = {"alive": HostAlive, "suspect": HostSuspect, "lost": HostLost}


def of_vm(record: LaunchRecord, status: VMStatus) -> VMEvent | None:
    """What a VM's host says of it; None while it has not carried out anything, or has forgotten it.

    That a VM is off was `asked` for where its record says so, however it ended: nobody wants it back.
    """
    kind = _OF_STATE.get(status.state)
    if kind is None or status.revision < 1 or status.orphan or status.gone:
        return None
    event = kind(
        namespace=status.namespace,
        name=status.name,
        host=record.host,
        instance=status.instance,
        revision=status.revision,
        reason=status.reason,
        id=f"{status.instance}-{status.revision}-{status.state}",
    )
    if isinstance(event, VMQuit):
        return replace(event, asked=record.power in ("off", "gone"))
    return event


def of_host(name: str, state: HostState) -> Event | None:
    """How a host is; None for one that has not been heard of yet."""
    kind = _OF_HOST.get(state)
    return None if kind is None else kind(name=name)


def of_tap(record: TapRecord, status: TapStatus | None) -> TapCreated | None:
    """A host tap that is there; None for an uplink, and for one that is not up."""
    if status is None or not status.up or record.trunk or record.removed:
        return None
    return TapCreated(namespace=record.namespace, name=record.tap, host=record.host)


def of_namespace(record: NamespaceRecord) -> NamespaceCreated:
    """A namespace that there is."""
    return NamespaceCreated(namespace=record.name, name=record.name, hosts=record.hosts or "")


def of_bridge(namespace: NamespaceRecord, name: str) -> BridgeCreated:
    """A private bridge of a namespace."""
    return BridgeCreated(namespace=namespace.name, name=name, key=namespace.bridges[name].key)


def of_entry(entry: QueueEntry) -> VMsQueued:
    """What waits in a queue."""
    vms = entry.names or str(entry.count)
    return VMsQueued(namespace=entry.namespace, name=str(entry.entry), vms=vms, count=entry.count)


def of_plan(plan: PlanRecord) -> Event | None:
    """How far a plan has come; None for a dry run."""
    if plan.state == "running":
        return ScheduleStarted(namespace=plan.namespace, name=plan.plan, total=plan.total, hosts=plan.hosts)
    if plan.state == "completed":
        return ScheduleCompleted(
            namespace=plan.namespace, name=plan.plan, launched=plan.launched, failures=plan.failures
        )
    return None
