"""What hosts and VMs were last seen to be, and how the two together read to a user.

This module refuses to know the bus and real time: the moments of heartbeats are numbers of some clock.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.messages.desired import Heartbeat, LaunchRecord, State, TapStatus, VMStatus

HostState = Literal["alive", "suspect", "lost", "unknown"]
SUSPECT_AFTER_S = 5.0
LOST_AFTER_S = 20.0


class SeenHost:
    """One host as observed. `session` is the worker's whose claim stands; `reports` the last report's number."""

    def __init__(self) -> None:
        self.session = ""
        self.heartbeat: Heartbeat | None = None
        self.heard_at = 0.0
        self.reports = -1
        self.state: HostState = "unknown"
        self.instances: dict[str, VMStatus] = {}
        self.taps: dict[tuple[str, str], TapStatus] = {}
        self.segments: set[int] = set()
        #: an inventory is being asked for
        self.asking = False


def host_state(heard_at: float, now: float) -> HostState:
    """How a host is, by the age of its last heartbeat in seconds."""
    silent = now - heard_at
    if silent < SUSPECT_AFTER_S:
        return "alive"
    return "suspect" if silent < LOST_AFTER_S else "lost"


class View(msgspec.Struct, frozen=True):
    """What a user reads of a VM."""

    state: State
    reason: str = ""
    pid: int = 0
    uptime_s: float = 0.0


def view(record: LaunchRecord, status: VMStatus | None, host: HostState, incarnation: str = "") -> View:
    """What is wanted of a VM and what its host says of it, as one state.

    A VM on a lost host is LOST, and so is one that was launched on an earlier `incarnation` of its host; one that
    its host has not spoken of yet is BUILDING, or QUIT when it is off.
    """
    if host == "lost" and record.power != "off":
        return View("LOST", f"host {record.host} has not been heard of")
    if incarnation not in ("", record.incarnation) and record.power != "off":
        return View("LOST", f"host {record.host} was set up anew since, and does not have it")
    if status is None or status.instance != record.instance:
        return View("QUIT" if record.power == "off" else "BUILDING")
    return View(status.state, status.reason, status.pid, status.uptime_s)


def carried_out(record: LaunchRecord, status: VMStatus | None) -> bool:
    """Whether the host has done what the record asks, or has failed to and says so."""
    return status is not None and status.instance == record.instance and status.revision >= record.revision
