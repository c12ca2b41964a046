"""The leader's own records, as they are stored under `shoal.state.>`: JSON, each well under 1 MiB.

This module refuses to know subjects, the bus and how records are changed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.core.load import Quota
from shoal.core.saved_machine import SavedMachine
from shoal.core.vmconfig import VMConfig

DEFAULT_NAMESPACE = "minimega"


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds for the whole cluster, fixed at its first start: store id, head, first bridge key, UDP port."""

    store: str
    head: str
    first_key: int = 1
    udp_port: int = 4789
    blacklist: tuple[int, ...] = ()
    #: why nothing is changed any more: the store was found to be older than what hosts have seen of it
    frozen: str = ""


class BridgeRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A private bridge of a namespace and its key (the upper 12 bits of its VNIs)."""

    key: int
    kind: str = "vxlan"


class CaptureSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a namespace's new captures are made: bytes kept of each packet (0: all), and pcap-filter(7)'s words."""

    snaplen: int = 0
    filter: str = ""


class NamespaceSave(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last `ns save`: the VMs (folded) that it saves, and those (folded) that it has paused and that go on after it.

    The next leader ends one that was running.
    """

    name: str
    state: Literal["running", "completed", "failed"] = "running"
    vms: str = ""
    resume: str = ""
    completed: int = 0
    total: int = 0
    reason: str = ""


class NamespaceRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace. `hosts` is a folded range; None: every live host (the default namespace, until it is edited).

    `config` is the working configuration. `next_id` numbers VMs, `next_entry` queue entries. `clearing` marks a
    namespace that is being removed: the next leader goes on with it.
    """

    name: str
    hosts: str | None = None
    policy: str = "cpucommit"
    relative: bool = False
    queueing: bool = False
    vlan_range: tuple[int, int] | None = None
    aliases: dict[str, int] = {}
    #: aliases whose number the user gave (`vlans add`): sharing such a number is on purpose
    explicit: tuple[str, ...] = ()
    bridges: dict[str, BridgeRecord] = {}
    config: VMConfig = VMConfig()
    next_id: int = 0
    next_entry: int = 0
    #: the most that all its VMs together may be promised
    limits: Quota = Quota()
    save: NamespaceSave | None = None
    #: what is done about VMs whose host an operator has declared dead
    recovery: Literal["none", "relaunch"] = "none"
    capture: CaptureSettings = CaptureSettings()
    clearing: bool = False


class SavedConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A configuration kept under a name."""

    namespace: str
    name: str
    config: VMConfig


class FileRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the cluster: the content (SHA-256, size in bytes) that its name stands for. `added` is for people.

    `machine` is what a VM has to be to go on from it, where it is a saved state. `saved_from` is the VM (its namespace/name)
    that `vm save` made it from.
    """

    name: str
    digest: str
    size: int
    added: str = ""
    machine: SavedMachine | None = None
    saved_from: str = ""


class QueueEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one `vm launch` queued: `names` is a range, or empty for `count` VMs that are named when launched.

    `plan` names the saved plan that consumes it: then it is not queued any more. `files` are the cluster's files
    that it needs, and their digests as they were when it was queued. `by` is what the client that queued it calls
    itself.
    """

    namespace: str
    entry: int
    count: int
    names: str = ""
    config: VMConfig
    plan: str = ""
    files: dict[str, str] = {}
    by: str = ""


PlanState = Literal["dry-run", "running", "completed"]


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The head of a plan (chunk 0): which queue entries it places, and how far it has come.

    `first_id` is the id of its first VM, given when it is applied. It launches host by host, in the order of names: all
    VMs of hosts before `reached`, and the first `published` of that host, have been launched or passed over, and are not
    launched by it again. `started` and `ended` are for people.
    """

    namespace: str
    plan: str
    revision: int
    state: PlanState
    entries: tuple[int, ...] = ()
    chunks: int = 0
    first_id: int = 0
    reached: str = ""
    published: int = 0
    started: str = ""
    ended: str = ""
    launched: int = 0
    failures: int = 0
    total: int = 0
    hosts: int = 0
    #: VMs (folded) whose own `schedule` was overridden by `ns schedule mv`
    moved: str = ""
    #: the request that it carries out, for logs
    request: str = ""


class PlanChunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Part of a plan's placements: host → entry → the places in that entry (`0-3,7`).

    `ground` is the load of each of these hosts when the plan was made: vCPUs, memory (MiB), interfaces, VMs.
    """

    namespace: str
    plan: str
    chunk: int
    placements: dict[str, dict[str, str]]
    ground: dict[str, tuple[int, int, int, int]] = {}


class HostRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host that was claimed: which incarnation of it, in which role, and where its tunnels end.

    A `draining` one gets no new VMs, until an operator resumes it. A `fenced` one is dead, an operator says: its VMs
    may be launched elsewhere.
    """

    name: str
    incarnation: str
    role: Literal["host", "edge"] = "host"
    underlay: str = ""
    machine: str = ""
    version: str = ""
    draining: bool = False
    fenced: bool = False


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that changed something: its reply's JSON text, or none yet while it is being carried out.

    `plan` is the plan that it saved: whoever repeats the request waits for that one.
    """

    id: str
    slot: int
    reply: str = ""
    plan: str = ""


Record = (
    ClusterRecord
    | NamespaceRecord
    | SavedConfig
    | FileRecord
    | QueueEntry
    | PlanRecord
    | PlanChunk
    | HostRecord
    | RequestRecord
)
