"""What happened: the events that the orchestrator publishes after each change.

Encoded as JSON, for people and programs alike; the class's `event` field names its type. This module refuses to
know subjects and the bus.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to `name` in `namespace` (empty: to the cluster).

    `at` is the orchestrator's clock, RFC 3339 in UTC, for people; `id` is the same for the same event published
    twice, and `epoch` counts the terms of leadership: of two events of one object, that of the higher epoch is the later
    one, wherever it stands in the stream. They are filled in when the event is published. `late` marks one that was
    missing when a leader took over: `at` is not the time of the change then. The subject is
    `shoal.event.<namespace>.<noun>.<what>.<name>`.
    """

    noun: ClassVar[str] = ""
    what: ClassVar[str] = ""

    event: str = ""
    namespace: str = ""
    name: str = ""
    at: str = ""
    id: str = ""
    epoch: int = 0
    late: bool = False


class NamespaceCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace is new; `hosts` is folded."""

    noun: ClassVar[str] = "namespace"
    what: ClassVar[str] = "created"

    hosts: str = ""


class NamespaceChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace's hosts, load policy, queueing, VLANs or bridges changed: `change` says what, in words."""

    noun: ClassVar[str] = "namespace"
    what: ClassVar[str] = "changed"

    change: str = ""


class NamespaceRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace and all that was in it are gone."""

    noun: ClassVar[str] = "namespace"
    what: ClassVar[str] = "removed"


class HostAlive(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host's heartbeats are there (again)."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "alive"


class HostSuspect(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host's heartbeats are missing: it gets nothing new."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "suspect"


class HostLost(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host has not been heard of for long: its VMs are shown as LOST, and left alone."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "lost"


class HostDraining(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator drains a host: it gets nothing new."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "draining"


class HostForgotten(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An operator has declared a lost host dead: its VMs may be launched again elsewhere."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "forgotten"


class HostResumed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host that was draining takes new VMs again."""

    noun: ClassVar[str] = "host"
    what: ClassVar[str] = "resumed"


class VMsQueued(Event, frozen=True, kw_only=True, omit_defaults=True):
    """VMs were queued; `name` is the queue entry's number, `vms` the range or count."""

    noun: ClassVar[str] = "queue"
    what: ClassVar[str] = "added"

    vms: str = ""
    count: int = 0


class QueueFlushed(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace's queue was emptied."""

    noun: ClassVar[str] = "queue"
    what: ClassVar[str] = "flushed"


class ScheduleStarted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A plan (`name`) is saved and being carried out."""

    noun: ClassVar[str] = "schedule"
    what: ClassVar[str] = "started"

    total: int = 0
    hosts: int = 0


class ScheduleCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Every VM of a plan was launched, or failed."""

    noun: ClassVar[str] = "schedule"
    what: ClassVar[str] = "completed"

    launched: int = 0
    failures: int = 0


class VMEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Something about one VM: which instance of it, on which host.

    `revision` is that of the VM's record which the host had carried out.
    """

    noun: ClassVar[str] = "vm"

    host: str = ""
    instance: str = ""
    revision: int = 0
    reason: str = ""


class VMLaunched(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM was created on its host and waits (BUILDING)."""

    what: ClassVar[str] = "launched"


class VMStarted(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM runs."""

    what: ClassVar[str] = "started"


class VMPaused(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM was paused."""

    what: ClassVar[str] = "paused"


class VMQuit(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM ended: it was killed (`asked` is true), or powered itself off (`asked` is false).

    `asked` says whether a command wants it to be off. Only events of before this field was have none.
    """

    what: ClassVar[str] = "quit"

    asked: bool | None = None


class VMFailed(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM is in ERROR; `reason` says why."""

    what: ClassVar[str] = "failed"


class VMRemoved(VMEvent, frozen=True, kw_only=True, omit_defaults=True):
    """A VM is forgotten."""

    what: ClassVar[str] = "removed"


class BridgeCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A private bridge is new; its VNIs are `key` times 4096 plus the VLAN."""

    noun: ClassVar[str] = "bridge"
    what: ClassVar[str] = "created"

    key: int = 0


class BridgeRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A private bridge is gone."""

    noun: ClassVar[str] = "bridge"
    what: ClassVar[str] = "removed"


class TapCreated(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host tap is there."""

    noun: ClassVar[str] = "tap"
    what: ClassVar[str] = "created"

    host: str = ""


class TapRemoved(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A host tap is gone."""

    noun: ClassVar[str] = "tap"
    what: ClassVar[str] = "removed"

    host: str = ""


EVENTS: tuple[type[Event], ...] = (
    NamespaceCreated,
    NamespaceChanged,
    NamespaceRemoved,
    HostAlive,
    HostSuspect,
    HostLost,
    HostDraining,
    HostResumed,
    HostForgotten,
    VMsQueued,
    QueueFlushed,
    ScheduleStarted,
    ScheduleCompleted,
    VMLaunched,
    VMStarted,
    VMPaused,
    VMQuit,
    VMFailed,
    VMRemoved,
    BridgeCreated,
    BridgeRemoved,
    TapCreated,
    TapRemoved,
)
