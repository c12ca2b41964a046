"""Commands about VMs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import wrap
from typing import ClassVar, Literal

import msgspec

from shoal.core.vmconfig import VMConfig
from shoal.messages.base import Display, Done, Integer, Page, Reply, Request, Table
from shoal.messages.desired import Port, Power, State
from shoal.messages.hosts import go_duration
from shoal.messages.schedule import Launched


class LaunchVMs(Request[Launched], frozen=True, kw_only=True, omit_defaults=True):
    """Launch VMs with the working configuration, or a saved one: a name, a range of names, or a number.

    They are created paused (BUILDING); `vm start` lets them run. With queueing on they are only queued, and
    `vm launch` without arguments places and launches the whole queue.

    Example: vm launch kvm web[1-3]
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "launch"
    words: ClassVar[tuple[str, ...]] = ("vm launch <kind:kvm> <names> [config]",)
    reply: ClassVar[type[Reply]] = Launched

    names: str
    kind: str = "kvm"
    config: str = ""
    #: a complete configuration, for programs: used instead of the working one
    spec: VMConfig | None = None


class Changed(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The VMs (folded) that are now in the state that was asked for."""

    vms: str = ""
    count: int = 0


class StartVMs(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Let VMs run: names, ranges, ids or `all` (every BUILDING and PAUSED one).

    A named VM in QUIT or ERROR is launched again.

    Example: vm start web[1-3]
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "start"
    words: ClassVar[tuple[str, ...]] = ("vm start <target>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str


class StopVMs(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Pause running VMs; `vm start` lets them go on."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "stop"
    words: ClassVar[tuple[str, ...]] = ("vm stop <target>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str


class KillVMs(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """End VMs at once (QUIT); `vm flush` forgets them."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "kill"
    words: ClassVar[tuple[str, ...]] = ("vm kill <target>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str


class FlushVMs(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Forget VMs that are in QUIT or ERROR: all of them, or those named."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "flush"
    words: ClassVar[tuple[str, ...]] = ("vm flush [target]",)
    reply: ClassVar[type[Reply]] = Changed

    target: str = ""


class ConnectNet(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Plug an interface of VMs, running or not, into another VLAN; without a bridge, of the bridge that it is on.

    Interfaces are numbered from 0.

    Example: vm net connect web1 0 DMZ
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "net-connect"
    words: ClassVar[tuple[str, ...]] = ("vm net connect <target> <index> <vlan> [bridge]",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    index: Integer
    vlan: str
    bridge: str = ""


class DisconnectNet(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Unplug an interface of VMs; `vm net connect` plugs it in again.

    Example: vm net disconnect web1 0
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "net-disconnect"
    words: ClassVar[tuple[str, ...]] = ("vm net disconnect <target> <index>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    index: Integer


class AddNet(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Give VMs more interfaces, running or not: `[bridge,]vlan[,mac][,driver]`, as in `vm config networks`.

    Example: vm net add web1 DMZ lan,OPS
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "net-add"
    words: ClassVar[tuple[str, ...]] = ("vm net add <target> <networks...>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    networks: tuple[str, ...]


class TagRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tag of a VM; an empty value is also that of a tag that was asked for and is not there."""

    vm: str
    key: str
    value: str = ""


class Tags(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Tags of VMs: all of them, or those with the key `key`."""

    items: tuple[TagRow, ...] = ()
    key: str = ""

    def display(self) -> Display:
        """Show `name | tag | value`, or `name | value` of one key."""
        if self.key:
            return Table(columns=("name", "value"), rows=tuple((i.vm, i.value) for i in self.items))
        rows = tuple((i.vm, i.key, i.value) for i in self.items)
        return Table(columns=("name", "tag", "value"), rows=rows)


class TagVMs(Request[Tags], frozen=True, kw_only=True, omit_defaults=True):
    """Show the tags of VMs, or the one with a key, or set one; the key `all` means every tag.

    Example: vm tag web1 color red
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "tag"
    words: ClassVar[tuple[str, ...]] = ("vm tag <target> [key] [value]",)
    reply: ClassVar[type[Reply]] = Tags

    target: str
    key: str = ""
    value: str = ""


class ClearTags(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Remove the tags of VMs, or the one with a key; without arguments, all tags of all VMs of the namespace."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "clear-tag"
    words: ClassVar[tuple[str, ...]] = ("clear vm tag [target] [key]",)

    target: str = "all"
    key: str = ""


class VMRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One VM: what is wanted of it, and what its host reports.

    `wanted` is what commands ask of it, `state` what it is: one that is QUIT although it is wanted `running` has powered
    itself off, one that was killed is wanted `off`. Empty only from an orchestrator that does not tell it.
    """

    id: int
    namespace: str
    name: str
    host: str
    state: State
    wanted: Power | Literal[""] = ""
    instance: str = ""
    uuid: str = ""
    pid: int = 0
    uptime_s: float = 0.0
    reason: str = ""
    ports: tuple[Port, ...] = ()
    config: VMConfig


VM_COLUMNS = (
    *("id", "name", "state", "uptime", "type", "uuid", "cc_active", "pid", "vlan", "bridge", "tap", "mac"),
    *("ip", "ip6", "qos", "qinq", "bond", "memory", "vcpus", "disks", "snapshot", "initrd", "kernel"),
    *("cdrom", "save", "append", "serial-ports", "virtio-ports", "vnc_port", "host", "tags"),
)
SUMMARY_COLUMNS = ("id", "name", "state", "type", "uuid", "cc_active", "vlan")


def _listed(values: list[str]) -> str:
    return "[" + ", ".join(values) + "]"


def _tags_text(tags: Mapping[str, str]) -> str:
    return json.dumps(tags, sort_keys=True, separators=(",", ":"))


def _vlan(port: Port) -> str:
    if not port.vlan:
        return "disconnected"
    return f"{port.alias} ({port.vlan})" if port.alias else str(port.vlan)


def _cells(row: VMRow) -> dict[str, str | int]:
    config, ports = row.config, row.ports
    none = _listed([""] * len(ports)) if ports else "[]"
    tags = {**config.tags, "error": row.reason} if row.reason and row.state == "ERROR" else config.tags
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "uptime": go_duration(row.uptime_s),
        "type": "kvm",
        "uuid": row.uuid,
        "cc_active": "false",
        "pid": row.pid,
        "vlan": _listed([_vlan(p) for p in ports]),
        # A port that is in no VLAN remembers its bridge, for `vm net connect`, but is not on it.
        "bridge": _listed([p.bridge if p.vlan else "" for p in ports]),
        "tap": _listed([p.tap for p in ports]),
        "mac": _listed([p.mac for p in ports]),
        "ip": none,
        "ip6": none,
        "qos": _listed([f"{i}: {port.qos.text()}" for i, port in enumerate(ports) if port.qos]),
        "qinq": none,
        "bond": "[]",
        "memory": config.memory_mib,
        "vcpus": config.vcpus,
        "disks": _listed([d.path for d in config.disks]),
        "snapshot": str(config.snapshot).lower(),
        "initrd": config.initrd,
        "kernel": config.kernel,
        "cdrom": config.cdrom,
        "save": config.state,
        "append": _listed(list(config.append)),
        "serial-ports": config.serial_ports,
        "virtio-ports": config.virtio_ports,
        "vnc_port": "",
        "host": row.host,
        "tags": _tags_text(tags) if tags else "{}",
        "namespace": row.namespace,
        "instance": row.instance,
        "reason": row.reason,
    }


class VMs(Page[VMRow], frozen=True, kw_only=True, omit_defaults=True):
    """The VMs of a namespace. `brief` is what `vm info summary` asked for."""

    brief: bool = False

    def display(self) -> Display:
        """Show the peer's columns; `host` at the end, `namespace`, `instance` and `reason` only when named."""
        hidden = ("namespace", "instance", "reason")
        columns = ((*SUMMARY_COLUMNS, "host") if self.brief else VM_COLUMNS) + hidden
        cells = [_cells(item) for item in self.items]
        return Table(
            columns=columns,
            rows=tuple(tuple(row[column] for column in columns) for row in cells),
            hidden=frozenset(hidden) | ({"host"} if self.brief else set()),
        )


class ListVMs(Request[VMs], frozen=True, kw_only=True, omit_defaults=True):
    """Show the namespace's VMs: state, host, networks, configuration.

    `.columns` chooses columns and `.filter` rows; namespace, instance and reason are shown where they are named.

    Example: .columns name,state,host vm info
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "info"
    words: ClassVar[tuple[str, ...]] = ("vm info [summary?]",)
    more_help: ClassVar[str] = "\n".join(
        ["The columns:", "", *(f"    {line}" for line in wrap(" ".join(VM_COLUMNS), 90))]
    )
    reply: ClassVar[type[Reply]] = VMs
    reads: ClassVar[bool] = True

    summary: bool = False
    #: for programs: a range of names; those that are not there are left out
    names: str = ""
    after: str = ""
    limit: int = 0
