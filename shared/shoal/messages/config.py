"""Commands about the working configuration, from which VMs are launched."""

from __future__ import annotations

from typing import ClassVar

from shoal.messages.base import Done, Reply, Request, Said


class ConfigureVM(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show the working configuration, or show or set one of its fields.

    Fields: uuid vcpus memory snapshot schedule colocate coschedule networks tags kernel initrd append cdrom
    disks cpu machine vga serial-ports virtio-ports qemu-append; a prefix will do (net, disk).

    Example: vm config networks foo,LAN
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "config"
    words: ClassVar[tuple[str, ...]] = ("vm config", "vm config <field> [values...]")
    reply: ClassVar[type[Reply]] = Said

    field: str = ""
    values: tuple[str, ...] = ()


class ClearConfig(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Set the working configuration, or one field of it (or one tag), back to the default.

    Example: clear vm config networks
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "clear-config"
    words: ClassVar[tuple[str, ...]] = ("clear vm config", "clear vm config <field> [key]")

    field: str = ""
    key: str = ""


class SaveConfig(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Keep a copy of the working configuration under a name, for `restore` and for `vm launch`."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "save-config"
    words: ClassVar[tuple[str, ...]] = ("vm config save <name>",)

    name: str


class RestoreConfig(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Make a saved configuration the working one; without a name, list those that are saved."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "restore-config"
    words: ClassVar[tuple[str, ...]] = ("vm config restore [name]",)
    reply: ClassVar[type[Reply]] = Said

    name: str = ""


class CloneConfig(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Make a VM's configuration the working one (without its UUID and MAC addresses)."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "clone-config"
    words: ClassVar[tuple[str, ...]] = ("vm config clone <vm>",)

    vm: str
