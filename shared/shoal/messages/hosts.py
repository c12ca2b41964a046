"""Commands about hosts: a namespace's membership and load, and the hosts of the cluster."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.core.ranges import fold
from shoal.messages.base import Display, Done, HostAnswer, Page, PerHost, Reply, Request, Said, Scope, Table


class HostRange(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Host names, folded: `mm[1-3]`."""

    hosts: str = ""

    def display(self) -> Display:
        """Show the folded range."""
        return self.hosts


class ListNamespaceHosts(Request[HostRange], frozen=True, kw_only=True, omit_defaults=True):
    """Show the hosts of the namespace, as a range."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "hosts"
    words: ClassVar[tuple[str, ...]] = ("ns hosts",)
    reply: ClassVar[type[Reply]] = HostRange
    reads: ClassVar[bool] = True


class AddHosts(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Add hosts to the namespace: a range, `localhost` for the head, or `all` for every live host but the head.

    Example: ns add-hosts mm[1-3]
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "add-hosts"
    words: ClassVar[tuple[str, ...]] = ("ns add-hosts <hosts>",)

    hosts: str


class RemoveHosts(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Take hosts out of the namespace; those that still run its VMs are refused unless `force`.

    Example: ns del-hosts mm[1,3]
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "del-hosts"
    words: ClassVar[tuple[str, ...]] = ("ns del-hosts <hosts> [force?]",)

    hosts: str
    force: bool = False


class SetLoad(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set how the load of hosts is compared when VMs are placed.

    cpucommit: vCPUs of launched VMs; netcommit: their network interfaces; memload (or memcommit): memory left.
    `relative` divides by the host's capacity.

    Example: ns load memload
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "load"
    words: ClassVar[tuple[str, ...]] = (
        "ns load",
        "ns load <policy:cpucommit,netcommit,memload,memcommit> [relative?]",
    )
    reply: ClassVar[type[Reply]] = Said

    policy: str = ""
    relative: bool = False


class HostRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One host: its capacity, and what is committed there by VMs of all namespaces and of others."""

    host: str
    state: str = ""
    role: str = "host"
    head: bool = False
    cpus: int = 0
    load: float = 0.0
    memused_mib: int = 0
    memtotal_mib: int = 0
    rx_bytes_s: float = 0.0
    tx_bytes_s: float = 0.0
    vms: int = 0
    vmlimit: int = -1
    cpucommit: int = 0
    memcommit_mib: int = 0
    netcommit: int = 0
    uptime_s: float = 0.0
    accelerator: str = ""
    version: str = ""
    underlay: str = ""
    warnings: tuple[str, ...] = ()


def go_duration(seconds: float) -> str:
    """A time span as minimega prints it (Go's form, whole seconds): `1h2m3s`."""
    left = int(seconds)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"


class Hosts(Page[HostRow], frozen=True, kw_only=True, omit_defaults=True):
    """Hosts with their load, or one `field` of it."""

    field: str = ""

    def display(self) -> Display:
        """Show the peer's columns; `state`, `accelerator`, `version`, … only when they are named.

        One field is shown as each host's answer, alike ones together.
        """
        return PerHost(self.answers()) if self.field else self._table()

    def answers(self) -> tuple[HostAnswer, ...]:
        """What each host says of the field, alike ones together."""
        table = self._table()
        column = table.columns.index("host" if self.field == "name" else self.field)
        hosts_of: dict[str, list[str]] = {}
        for row in table.rows:
            hosts_of.setdefault(str(row[column]), []).append(str(row[0]))
        return tuple(HostAnswer(hosts=fold(hosts), text=text) for text, hosts in hosts_of.items())

    def _table(self) -> Table:
        return Table(
            columns=(
                *("host", "cpus", "load", "memused", "memtotal", "rx", "tx", "vms", "vmlimit"),
                *("cpucommit", "memcommit", "netcommit", "uptime"),
                *("state", "role", "accelerator", "version", "underlay", "warnings"),
            ),
            rows=tuple(
                (
                    *(i.host, i.cpus, f"{i.load:.2f}", f"{i.memused_mib} MB", f"{i.memtotal_mib} MB"),
                    *(f"{i.rx_bytes_s / 1e6:.2f}", f"{i.tx_bytes_s / 1e6:.2f}", i.vms, i.vmlimit),
                    *(i.cpucommit, i.memcommit_mib, i.netcommit, go_duration(i.uptime_s)),
                    *(i.state, i.role, i.accelerator, i.version, i.underlay, "; ".join(i.warnings)),
                )
                for i in self.items
            ),
            hidden=frozenset({"state", "role", "accelerator", "version", "underlay", "warnings"}),
        )


class ListHosts(Request[Hosts], frozen=True, kw_only=True, omit_defaults=True):
    """Show the namespace's hosts with their capacity and load, or one field of it.

    The columns state, role, accelerator, version, underlay and warnings are shown when `.columns` names them.

    Example: .columns host,vms,cpucommit host
    """

    noun: ClassVar[str] = "host"
    verb: ClassVar[str] = "list"
    words: ClassVar[tuple[str, ...]] = (
        "host",
        "host <field:cpucommit,cpus,load,memcommit,memtotal,memused,name,netcommit,rx,tx,uptime,vms,vmlimit>",
    )
    reply: ClassVar[type[Reply]] = Hosts
    reads: ClassVar[bool] = True

    field: str = ""
    after: str = ""
    limit: int = 0


class Mesh(Page[HostRow], frozen=True, kw_only=True, omit_defaults=True):
    """Every host of the cluster, the head too."""

    def display(self) -> Display:
        """Show which hosts there are and how they are."""
        return Table(
            columns=("host", "role", "state", "head", "underlay", "accelerator", "version"),
            rows=tuple(
                (i.host, i.role, i.state, str(i.head).lower(), i.underlay, i.accelerator, i.version)
                for i in self.items
            ),
        )


class ListMesh(Request[Mesh], frozen=True, kw_only=True, omit_defaults=True):
    """List the hosts of the cluster that are alive, whatever namespace they are in; `mesh status` lists all."""

    noun: ClassVar[str] = "host"
    verb: ClassVar[str] = "mesh"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("mesh <which:list,status>",)
    reply: ClassVar[type[Reply]] = Mesh
    reads: ClassVar[bool] = True

    which: str = "list"
    after: str = ""
    limit: int = 0


class DrainRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a VM of a draining host would go if it were launched again; without `dst`, why nowhere."""

    namespace: str
    vm: str
    src: str
    dst: str = ""
    reason: str = ""


class Drained(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Hosts get no new VMs; a dry run says where their VMs would go."""

    items: tuple[DrainRow, ...] = ()

    def display(self) -> Display:
        """Show a dry run's `namespace | vm | src | dst | reason`; nothing otherwise."""
        if not self.items:
            return ""
        return Table(
            columns=("namespace", "vm", "src", "dst", "reason"),
            rows=tuple((i.namespace, i.vm, i.src, i.dst, i.reason) for i in self.items),
        )


class DrainHosts(Request[Drained], frozen=True, kw_only=True, omit_defaults=True):
    """Give these hosts no new VMs, whatever the namespace, until `host resume`.

    VMs that are there stay, and are not moved. `dry-run` changes nothing, and shows where they would go if they were
    launched again.

    Example: host drain mm[1-2] dry-run
    """

    noun: ClassVar[str] = "host"
    verb: ClassVar[str] = "drain"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("host drain <hosts> [dry-run?]",)
    reply: ClassVar[type[Reply]] = Drained

    hosts: str
    dry_run: bool = False


class ResumeHosts(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Let draining hosts get new VMs again.

    Example: host resume mm[1-2]
    """

    noun: ClassVar[str] = "host"
    verb: ClassVar[str] = "resume"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("host resume <hosts>",)

    hosts: str
