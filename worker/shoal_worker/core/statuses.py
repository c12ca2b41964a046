"""Puts into words what has become of VMs, host taps and segments, as reports and inventories tell it.

This module refuses to know the bus, and how anything is done.
"""

from __future__ import annotations

from typing import NamedTuple

from shoal.messages.desired import (
    LaunchRecord,
    SegmentRecord,
    SegmentStatus,
    State,
    TapRecord,
    TapStatus,
    VMStatus,
)
from shoal_worker.core.actions import Outcome, TapOutcome
from shoal_worker.core.diff import alive
from shoal_worker.hypervisor import Guest

_MAX_REASON = 1000


class Statuses(NamedTuple):
    """Everything that is to be told of a host."""

    vms: dict[str, VMStatus]
    taps: dict[tuple[str, str], TapStatus]
    segments: dict[int, SegmentStatus]


def vm_status(
    record: LaunchRecord,
    guest: Guest | None,
    outcome: Outcome | None,
    *,
    reason: str = "",
    trouble: str = "",
    uptime_s: float = 0,
) -> VMStatus:
    """What a VM of ours is. `reason` tells why its record is not carried out yet, if it is not; `trouble`: see VMStatus."""
    revision = outcome.revision if outcome is not None else 0
    state: State = "BUILDING"
    if outcome is not None:
        settled = outcome.revision >= record.revision
        state, reason = outcome.state, outcome.reason if settled else reason or outcome.reason
    refused = outcome is not None and outcome.state == "ERROR" and outcome.revision == record.revision
    if guest is not None and alive(guest) and not refused:
        resumed = outcome is not None and outcome.resumed
        state = "RUNNING" if guest.state == "running" else "PAUSED" if resumed else "BUILDING"
        if guest.state == "paused" and record.power == "running":
            reason = reason or guest.reason
    return VMStatus(
        namespace=record.namespace,
        name=record.name,
        instance=record.instance,
        revision=revision,
        state=state,
        reason=reason[:_MAX_REASON],
        pid=guest.pid if guest is not None and alive(guest) else 0,
        uptime_s=uptime_s if state == "RUNNING" else 0.0,
        gone=outcome is not None and outcome.gone,
        trouble=trouble[:_MAX_REASON],
    )


def orphan_status(guest: Guest, outcome: Outcome | None, *, uptime_s: float = 0) -> VMStatus:
    """What a guest is that no record names."""
    resumed = outcome is not None and outcome.resumed
    states: dict[str, State] = {"running": "RUNNING", "shutoff": "QUIT", "failed": "ERROR"}
    return VMStatus(
        namespace=guest.namespace,
        name=guest.name,
        instance=guest.instance,
        revision=outcome.revision if outcome is not None else guest.revision,
        state=states.get(guest.state, "PAUSED" if resumed else "BUILDING"),
        reason=guest.reason[:_MAX_REASON],
        pid=guest.pid,
        uptime_s=uptime_s if guest.state == "running" else 0.0,
        orphan=True,
    )


def tap_status(record: TapRecord, outcome: TapOutcome | None, *, reason: str, ip: str = "") -> TapStatus:
    """What a host tap is; no reason means that it is up. `ip` is the address that it has."""
    gone = outcome is not None and outcome.gone
    up = not record.removed and not reason
    return TapStatus(
        namespace=record.namespace,
        tap=record.tap,
        revision=outcome.revision if outcome is not None else 0,
        up=up,
        ip=ip if up else "",
        reason=reason[:_MAX_REASON],
        gone=gone,
    )


def segment_status(record: SegmentRecord, applied: int, *, present: bool, reason: str = "") -> SegmentStatus:
    """What our part of a segment is. `applied` is the revision that it was last made from."""
    revision = applied if present else record.revision
    return SegmentStatus(vni=record.vni, revision=revision, present=present, reason=reason[:_MAX_REASON])
