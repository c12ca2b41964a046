"""Commands about the working configuration, from which VMs are launched."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.core.vmconfig_fields import FIELDS
from shoal.messages.base import Done, Failure, Reply, Request, Said


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


class ConfigStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of the working configuration: `field` is set to `values`, as by `vm config`.

    With `clear` it is set back, as by `clear vm config`: one tag (`key`), a field, or without a field everything.
    """

    field: str = ""
    values: tuple[str, ...] = ()
    clear: bool = False
    key: str = ""


class StepFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why one of several changes (`step`, from 0) was not made."""

    step: int
    failure: Failure


class Configured(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What became of several changes: the first `looked_at` of them were made, but for the `failed` ones."""

    looked_at: int
    failed: tuple[StepFailure, ...] = ()


class ConfigureSteps(Request[Configured], frozen=True, kw_only=True, omit_defaults=True):
    """Make several changes of the working configuration, in order, and store them together.

    Each does what the same line at the prompt would do; one that fails does not keep the rest from being made, unless
    `strict`. For scripts, which are read line by line, and for programs: at the prompt there are `vm config` and
    `clear vm config`.
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "config-steps"
    reply: ClassVar[type[Reply]] = Configured

    steps: tuple[ConfigStep, ...]
    strict: bool = False


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
