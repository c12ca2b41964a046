"""Commands about the working configuration, from which VMs are launched."""

from __future__ import annotations

from typing import ClassVar

from shoal.core.vmconfig_fields import FIELDS
from shoal.messages.base import Done, Reply, Request, Said


class ConfigureVM(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show the working configuration, or show or set one of its fields.

    It is what `vm launch` makes VMs from; VMs that are there keep what they were launched with. A prefix of a
    field's name will do (net, disk); `clear vm config <field>` sets it back to its default.

    In `networks`, the bridge is one that `ns bridge` made, else `mega_bridge`, which all namespaces share; the
    VLAN is a name or a number; the driver is QEMU's name of a network card (e1000 unless given). The fields:

    Example: vm config networks foo,LAN
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "config"
    words: ClassVar[tuple[str, ...]] = ("vm config", "vm config <field> [values...]")
    more_help: ClassVar[str] = "\n".join(
        f"    {field.name:<14}{field.help}" for field in FIELDS if field.attribute
    )
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
