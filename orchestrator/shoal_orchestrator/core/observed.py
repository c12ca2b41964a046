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
        #: since when instances run, by the clock of those who call
        self.running_since: dict[str, float] = {}
        self.taps: dict[tuple[str, str], TapStatus] = {}
        self.segments: set[int] = set()
        #: captures that it has, and those of them that wait to be collected
        self.captures = 0
        self.ended_captures = 0
        #: an inventory is being asked for
        self.asking = False

    def take(self, status: VMStatus, now: float) -> None:
        """Take in what the host says of a VM; what it says stands until it says something else."""
        self.running_since.pop(status.instance, None)
        if status.gone:
            self.instances.pop(status.instance, None)
            return
        self.instances[status.instance] = status
        if status.state == "RUNNING":
            self.running_since[status.instance] = now - status.uptime_s

    def forget(self, instance: str) -> None:
        """The host does not have it (any more)."""
        self.instances.pop(instance, None)
        self.running_since.pop(instance, None)

    def uptime_s(self, instance: str, now: float) -> float:
        """How long a VM has been running; 0 for one that does not run."""
        since = self.running_since.get(instance)
        return 0.0 if since is None else max(0.0, now - since)


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


def view(
    record: LaunchRecord,
    status: VMStatus | None,
    host: HostState,
    incarnation: str = "",
    *,
    uptime_s: float = 0.0,
    fenced: bool = False,
) -> View:
    """What is wanted of a VM and what its host says of it, as one state; `uptime_s` is how long it has been running.

    A VM on a lost host is LOST, and so is one that was launched on an earlier `incarnation` of its host; one that
    its host has not spoken of yet is BUILDING. One that is to be off is QUIT only when its host has said that it has
    ended: until then it may be running there, its name must not be given to another, and it is LOST. On a host that an
    operator has declared dead (`fenced`) nothing runs.
    """
    if fenced and record.power == "off":
        return View("QUIT")
    if fenced:
        return View("LOST", f"host {record.host} was declared dead; `vm start` launches it again on another")
    unspoken = status is None or status.instance != record.instance
    if record.power == "off" and incarnation not in ("", record.incarnation) and unspoken:
        return View("QUIT")
    if record.power == "off" and unspoken:
        return View("LOST", f"host {record.host} has not said yet whether it has ended it")
    if host == "lost" and not (record.power == "off" and carried_out(record, status)):
        return View("LOST", f"host {record.host} has not been heard of")
    if incarnation not in ("", record.incarnation) and record.power != "off":
        return View("LOST", f"host {record.host} was set up anew since, and does not have it")
    if status is None or unspoken:
        return View("BUILDING")
    return View(status.state, status.reason, status.pid, uptime_s)


def carried_out(record: LaunchRecord, status: VMStatus | None) -> bool:
    """Whether the host has done what the record asks, or has failed to and says so."""
    return status is not None and status.instance == record.instance and status.revision >= record.revision
