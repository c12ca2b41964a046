"""What a VM has to be so that it can go on from a saved state: the hardware that its guest was saved on.

This module refuses to know where states are kept, and how a hypervisor restores them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig


class SavedNic(msgspec.Struct, frozen=True, kw_only=True):
    """An interface: the guest keeps its driver and its MAC address."""

    driver: str
    mac: str


class SavedMachine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The hardware of a saved guest, in the words of `vm config` as far as they have one.

    `disks` are their drivers, `kernel` that it was booted from one, `cdrom` that it has a drive. `board` is the
    machine type as the hypervisor resolved it, and `layout` the addresses of its devices, both the hypervisor's own.
    """

    memory_mib: int
    vcpus: int = 1
    cpu: str = "host"
    machine: str = ""
    vga: str = "std"
    serial_ports: int = 0
    virtio_ports: str = ""
    qemu_append: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    nics: tuple[SavedNic, ...] = ()
    kernel: bool = False
    cdrom: bool = False
    accelerator: str = ""
    board: str = ""
    layout: dict[str, dict[str, str]] = {}


def machine_of(config: VMConfig, nics: Iterable[SavedNic]) -> SavedMachine:
    """The hardware that a configuration asks for, with the interfaces as they were made."""
    return SavedMachine(
        memory_mib=config.memory_mib,
        vcpus=config.vcpus,
        cpu=config.cpu,
        machine=config.machine,
        vga=config.vga,
        serial_ports=config.serial_ports,
        virtio_ports=config.virtio_ports,
        qemu_append=config.qemu_append,
        disks=tuple(disk.driver for disk in config.disks),
        nics=tuple(nics),
        kernel=bool(config.kernel),
        cdrom=bool(config.cdrom),
    )


def differences(saved: SavedMachine, config: VMConfig) -> list[str]:
    """What in a configuration is not as the state needs it, each as `field: VALUE, saved with VALUE`."""
    pairs: list[tuple[str, object, object]] = [
        ("memory", config.memory_mib, saved.memory_mib),
        ("vcpus", config.vcpus, saved.vcpus),
        ("cpu", config.cpu, saved.cpu),
        ("machine", config.machine, saved.machine),
        ("vga", config.vga, saved.vga),
        ("serial-ports", config.serial_ports, saved.serial_ports),
        ("virtio-ports", config.virtio_ports, saved.virtio_ports),
        ("qemu-append", " ".join(config.qemu_append), " ".join(saved.qemu_append)),
        ("disks", _counted(disk.driver for disk in config.disks), _counted(saved.disks)),
        ("networks", _counted(net.driver for net in config.networks), _counted(n.driver for n in saved.nics)),
        ("kernel", _whether(present=bool(config.kernel)), _whether(present=saved.kernel)),
    ]
    if config.cdrom and not saved.cdrom:
        pairs.append(("cdrom", "a drive", "none"))
    return [f"{field}: {_said(now)}, saved with {_said(then)}" for field, now, then in pairs if now != then]


def _counted(drivers: Iterable[str]) -> str:
    """How many devices, and of which drivers: `2 (virtio, default)`."""
    names = [driver or "default" for driver in drivers]
    return f"{len(names)} ({', '.join(names)})" if names else "none"


def _whether(*, present: bool) -> str:
    return "one" if present else "none"


def _said(value: object) -> str:
    return str(value) if value != "" else "unset"


def with_saved_macs(config: VMConfig, saved: SavedMachine) -> VMConfig:
    """The configuration with the MAC addresses that the guest keeps anyway, where it names none."""
    if len(config.networks) != len(saved.nics):
        return config
    networks = tuple(
        net if net.mac else replace(net, mac=nic.mac)
        for net, nic in zip(config.networks, saved.nics, strict=True)
    )
    return replace(config, networks=networks)
