"""What the orchestrator wants of the hosts, and what the workers say of them.

`LaunchRecord`, `SegmentRecord` and `TapRecord` are desired state: one message each in the stream
`SHOAL_STATE`. `Heartbeat`, `Report` and `Inventory` are observed state, never stored.
Encoded as MessagePack. This module refuses to know subjects and the bus.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.core.ifnames import VLANS_PER_KEY, plain_bridge, segment_bridge
from shoal.core.load import Capacity as Capacity  # noqa: PLC0414 - part of these messages, re-exported for those who read them
from shoal.core.load import Load as Load  # noqa: PLC0414 - part of these messages, re-exported for those who read them
from shoal.core.load import Quota as Quota  # noqa: PLC0414 - part of these messages, re-exported for those who read them
from shoal.core.qos import Qos
from shoal.core.vmconfig import VMConfig

#: what a VM should be: created and waiting, running, not running (but known), forgotten
Power = Literal["paused", "running", "off", "gone"]
#: what a VM is, as the user reads it
State = Literal["BUILDING", "RUNNING", "PAUSED", "QUIT", "ERROR", "LOST"]


class Port(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One interface of a VM, resolved: no choice is left to the worker.

    `vni` 0 is a plain bridge, which is not stretched over hosts. `segment` names the Linux bridge and `tap` the
    interface on the host (at most 15 characters). `vlan` 0 means disconnected. `qos` hampers what goes to the guest.
    `mirror` is another tap of the host: all that passes through that one is copied to this interface.
    """

    bridge: str
    vlan: int
    alias: str = ""
    vni: int = 0
    segment: str
    tap: str
    mac: str
    driver: str
    qos: Qos = Qos()
    mirror: str = ""


class LaunchRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The launch command of one VM and its desired state: `shoal.launch.<host>.<ns>.<vm>`.

    `instance` is random, chosen when the plan is saved, and never used again; every change raises `revision`.
    `incarnation` is the host's for which the record was written. `uuid` is the guest's.
    `files` are the cluster's files that it needs: name → SHA-256, fixed for good. `by` is what the client that launched
    it calls itself. `request` is the id of the request that asked for this revision, for the logs of all who carry it
    out: nothing is decided by it.
    """

    namespace: str
    name: str
    id: int
    instance: str
    revision: int
    power: Power
    host: str
    incarnation: str
    uuid: str
    config: VMConfig
    ports: tuple[Port, ...] = ()
    plan: str = ""
    files: dict[str, str] = {}
    request: str = ""
    by: str = ""


class SegmentRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One VNI and the hosts that have a port in it: `shoal.tunnel.<vni>`. `peers`: host → underlay address.

    `removed` is the tombstone of a segment that nobody uses any more.
    """

    vni: int
    revision: int
    namespace: str
    bridge: str
    vlan: int
    segment: str
    device: str
    udp_port: int = 4789
    peers: dict[str, str] = {}
    removed: bool = False


class TapRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tap of the host itself in a VLAN: `shoal.tap.<host>.<ns>.<tap>`. `ip` is `address/prefix` or empty.

    `mirror`: see Port. With `trunk` it is no tap but an uplink: `tap` is an interface of the host's own, and carries the
    VLANs `vlans` of the bridge; `key` is the bridge's, -1 for a plain one.
    """

    namespace: str
    tap: str
    revision: int
    host: str
    incarnation: str
    bridge: str
    vlan: int
    alias: str = ""
    vni: int = 0
    segment: str
    ip: str = ""
    dhcp: bool = False
    mirror: str = ""
    trunk: bool = False
    key: int = -1
    vlans: tuple[int, ...] = ()
    removed: bool = False

    def trunked(self) -> dict[int, tuple[int, str]]:
        """The VLANs that an uplink carries: VLAN → its VNI (0 on a plain bridge) and its Linux bridge."""
        if not self.trunk:
            return {}
        if self.key < 0:
            return {vlan: (0, plain_bridge(self.bridge, vlan)) for vlan in self.vlans}
        vnis = {vlan: self.key * VLANS_PER_KEY + vlan for vlan in self.vlans}
        return {vlan: (vni, segment_bridge(vni)) for vlan, vni in vnis.items()}


Desired = LaunchRecord | SegmentRecord | TapRecord


class VMStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker sees of one VM. `revision` is the highest of its record that has been carried out.

    `reason` explains ERROR, and BUILDING while it waits for something. `uptime_s` counts from the last resume.
    An orphan (no record wants it) is reported with `orphan`. `trouble` is what the kernel refuses of the links that
    its record asks for, whatever its state.
    """

    namespace: str
    name: str
    instance: str
    revision: int
    state: State
    reason: str = ""
    pid: int = 0
    uptime_s: float = 0.0
    orphan: bool = False
    gone: bool = False
    trouble: str = ""


class TapStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker sees of one host tap. `reason` tells why it is not `up`; `gone` acknowledges its removal."""

    namespace: str
    tap: str
    revision: int
    up: bool
    ip: str = ""
    reason: str = ""
    gone: bool = False


class SegmentStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That a worker has made, or removed, its part of a VNI."""

    vni: int
    revision: int
    present: bool
    reason: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changed on a host, gathered for up to 50 ms. `number` counts up from 1 in each session: gaps show.

    `ended_captures` wait to be collected now.
    """

    host: str
    session: str
    number: int
    vms: tuple[VMStatus, ...] = ()
    taps: tuple[TapStatus, ...] = ()
    segments: tuple[SegmentStatus, ...] = ()
    ended_captures: int = 0


class Inventory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that a worker sees, in pages (`after`, `next`), as of report `number`."""

    host: str
    session: str
    number: int
    vms: tuple[VMStatus, ...] = ()
    taps: tuple[TapStatus, ...] = ()
    segments: tuple[SegmentStatus, ...] = ()
    next: int = 0


class InventoryRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ask a worker for its inventory from item `after` on, at most `limit` items."""

    after: int = 0
    limit: int = 2000


Role = Literal["host", "edge"]


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A host's pulse, once a second. `foreign` is the load of domains that are not Shoal's.

    `stored` counts the desired records that the worker holds and `sequence` is the highest of their stream
    sequences. `captures` are those that the host has, `ended_captures` of them wait to be collected. `limit` is the most that may be promised here, by the worker's settings. `seen_…` are the store's id, the epoch and the nonce of the leader that it obeys, or obeyed last; `held_back` tells
    why it does nothing that the leader of now asks for. `underlay` is the address that
    tunnels end at.
    """

    host: str
    incarnation: str
    session: str
    version: str
    role: Role = "host"
    underlay: str = ""
    capacity: Capacity
    limit: Quota = Quota()
    ours: Load = Load()
    foreign: Load = Load()
    accelerator: str = ""
    warnings: tuple[str, ...] = ()
    load_average: float = 0.0
    memory_used_mib: int = 0
    rx_bytes_s: float = 0.0
    tx_bytes_s: float = 0.0
    uptime_s: float = 0.0
    reports: int = 0
    stored: int = 0
    sequence: int = 0
    seen_store: str = ""
    seen_epoch: int = 0
    seen_nonce: str = ""
    held_back: str = ""
    captures: int = 0
    ended_captures: int = 0


class HeartbeatAck(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The leader's answer to a heartbeat: what the worker should hold, and whether its claim stands.

    `claimed` false tells a worker to claim its host (again) before it acts. `nonce` is that of the leader's term,
    `succeeds` names stores that this one was rebuilt from, `frozen` tells why nothing must be done now.
    """

    store: str
    epoch: int
    nonce: str = ""
    succeeds: tuple[str, ...] = ()
    frozen: str = ""
    claimed: bool
    stored: int = 0
    sequence: int = 0


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker asks to be the worker of `host`: it acts only once this was granted."""

    host: str
    incarnation: str
    session: str
    version: str
    role: Role = "host"
    machine: str = ""
    underlay: str = ""
    capacity: Capacity


class Claimed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The host is yours. `head` tells whether it is the cluster's head; the rest is as in `HeartbeatAck`."""

    store: str
    epoch: int
    nonce: str = ""
    succeeds: tuple[str, ...] = ()
    frozen: str = ""
    head: bool = False
