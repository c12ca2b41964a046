"""Commands that reach into running VMs: their QEMU, their screen, what they take, their media."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Integer, Reply, Request, Said, Table
from shoal.messages.hosts import go_duration
from shoal.messages.vms import Changed

_MIB = 1 << 20


class AskQEMU(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Give a VM's QEMU a command of its machine protocol (QMP), and show its answer as JSON.

    Example: vm qmp web1 '{"execute": "query-status"}'
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "qmp"
    words: ClassVar[tuple[str, ...]] = ("vm qmp <vm> <command>",)
    reply: ClassVar[type[Reply]] = Said

    vm: str
    command: str


class Pictured(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Where a screenshot is: the cluster's file `name`, or a path on the VM's host. `size` in bytes."""

    name: str
    size: int = 0


class Screenshot(Request[Pictured], frozen=True, kw_only=True, omit_defaults=True):
    """Take a screenshot of a VM, as PNG, into the cluster's files; `maximum` bounds its longer side in pixels.

    It becomes `screenshots/NAMESPACE/VM.png`, or the file that is named. An absolute path is one of the VM's host.

    Example: vm screenshot web1 file web1.png 400
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "screenshot"
    words: ClassVar[tuple[str, ...]] = (
        "vm screenshot <vm> [maximum]",
        "vm screenshot <vm> file <file> [maximum]",
    )
    reply: ClassVar[type[Reply]] = Pictured

    vm: str
    file: str = ""
    maximum: Integer = 0


class TopRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one VM takes: sizes in bytes, `cpu` and `guest_cpu` in CPUs, rates in bytes/s as the guest sees them."""

    name: str
    namespace: str
    host: str
    virtual: int = 0
    resident: int = 0
    shared: int = 0
    cpu: float = 0.0
    guest_cpu: float = 0.0
    cpu_s: float = 0.0
    processes: int = 1
    rx_bytes_s: float = 0.0
    tx_bytes_s: float = 0.0


class Top(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What VMs take."""

    items: tuple[TopRow, ...] = ()

    def display(self) -> Display:
        """Show the peer's columns: sizes in MiB, CPUs in percent, rates in MB/s."""
        columns = (
            "name",
            "virt",
            "res",
            "shr",
            "cpu",
            "vcpu",
            "time",
            "procs",
            "rx",
            "tx",
            "host",
            "namespace",
        )
        rows = tuple(
            (
                row.name,
                row.virtual // _MIB,
                row.resident // _MIB,
                row.shared // _MIB,
                f"{row.cpu * 100:.2f}",
                f"{row.guest_cpu * 100:.2f}",
                go_duration(row.cpu_s),
                row.processes,
                f"{row.rx_bytes_s / 1e6:.2f}",
                f"{row.tx_bytes_s / 1e6:.2f}",
                row.host,
                row.namespace,
            )
            for row in self.items
        )
        return Table(columns=columns, rows=rows, hidden=frozenset({"host", "namespace"}))


class ShowTop(Request[Top], frozen=True, kw_only=True, omit_defaults=True):
    """Show what the namespace's VMs take of their hosts, measured for some seconds (1 by default).

    `virt`, `res` and `shr` are MiB, `cpu` and `vcpu` (in guest mode, KVM only) percent of one CPU, `rx` and `tx` MB/s.

    Example: vm top 5
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "top"
    words: ClassVar[tuple[str, ...]] = ("vm top [duration]",)
    reply: ClassVar[type[Reply]] = Top
    reads: ClassVar[bool] = True

    duration: Integer = 1


class EjectCDROM(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Take the medium out of the CD-ROM drives of VMs; `force` also where the guest has locked it.

    Example: vm cdrom eject web1
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "cdrom-eject"
    words: ClassVar[tuple[str, ...]] = ("vm cdrom eject <target> [force?]",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    force: bool = False


class ChangeCDROM(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Put another image into the CD-ROM drives of VMs: a file of the cluster, or an absolute path on their hosts.

    A VM that was launched without `vm config cdrom` has no drive.

    Example: vm cdrom change web1 isos/debian.iso
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "cdrom-change"
    words: ClassVar[tuple[str, ...]] = ("vm cdrom change <target> <path> [force?]",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    path: str
    force: bool = False


class DriveRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A USB drive that is plugged into a VM."""

    vm: str
    id: int
    file: str
    version: str
    host: str


class PluggedDrives(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """USB drives of a namespace's VMs."""

    items: tuple[DriveRow, ...] = ()

    def display(self) -> Display:
        """Show `name | id | file | version`."""
        return Table(
            columns=("name", "id", "file", "version", "host"),
            rows=tuple((row.vm, row.id, row.file, row.version, row.host) for row in self.items),
            hidden=frozenset({"host"}),
        )


class ListHotplug(Request[PluggedDrives], frozen=True, kw_only=True, omit_defaults=True):
    """List the USB drives that were plugged into running VMs."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "hotplug-list"
    words: ClassVar[tuple[str, ...]] = ("vm hotplug", "vm hotplug show [target]")
    reply: ClassVar[type[Reply]] = PluggedDrives
    reads: ClassVar[bool] = True

    target: str = "all"


class AddHotplug(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Plug an image into running VMs as a USB drive, which they can only read.

    The image is a file of the cluster, or an absolute path on their hosts; `version` is the version of USB.

    Example: vm hotplug add web1 tools.img 1.1
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "hotplug-add"
    words: ClassVar[tuple[str, ...]] = (
        "vm hotplug add <target> <file> [version:1.1,2.0]",
        "vm hotplug add <target> <file> serial <serial> [version:1.1,2.0]",
    )
    reply: ClassVar[type[Reply]] = Changed

    target: str
    file: str
    serial: str = ""
    version: str = "2.0"


class RemoveHotplug(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Take a USB drive out of running VMs, by its id in `vm hotplug`, or all of them.

    Example: vm hotplug remove web1 0
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "hotplug-remove"
    words: ClassVar[tuple[str, ...]] = ("vm hotplug remove <target> <disk>",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    disk: str
