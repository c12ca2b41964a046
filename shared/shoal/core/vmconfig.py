"""The configuration of a VM: its fields, their defaults, how they are set from words and printed.

This module refuses to know namespaces, VLAN numbers and hosts: a network here is what the user wrote.
"""

from __future__ import annotations

import msgspec

DEFAULT_BRIDGE = "mega_bridge"
DEFAULT_DRIVER = "e1000"


class NetSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One interface as configured: `[bridge,]vlan[,mac][,driver]`. `vlan` is an alias, `ns//alias` or a number."""

    vlan: str
    bridge: str = ""
    mac: str = ""
    driver: str = DEFAULT_DRIVER


class DiskSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One disk as configured: `path[,driver][,cache]`."""

    path: str
    driver: str = ""
    cache: str = ""


class VMConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VM's configuration, copied into each VM at its launch. Paths are absolute, sizes in MiB."""

    uuid: str = ""
    vcpus: int = 1
    memory_mib: int = 2048
    snapshot: bool = True
    schedule: str = ""
    colocate: str = ""
    #: how many other VMs may share the host; -1: no limit
    coschedule: int = -1
    networks: tuple[NetSpec, ...] = ()
    tags: dict[str, str] = {}
    kernel: str = ""
    initrd: str = ""
    append: tuple[str, ...] = ()
    cdrom: str = ""
    #: the saved state to go on from, instead of booting
    state: str = ""
    disks: tuple[DiskSpec, ...] = ()
    cpu: str = "host"
    machine: str = ""
    vga: str = "std"
    serial_ports: int = 0
    virtio_ports: str = ""
    qemu_append: tuple[str, ...] = ()
    #: fields of the peer that we keep and print, and refuse at launch where they would matter
    others: dict[str, tuple[str, ...]] = {}
