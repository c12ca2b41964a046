"""A VM's configuration as a whole: its print, the commands that make it again, and what cannot be launched of it.

This module refuses to know single fields' forms (`vmconfig_fields`) and what a host can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal.core.vmconfig_fields import FIELDS, Field, is_default, show, value_of
from shoal.core.vmconfig_specs import format_disk, format_net

if TYPE_CHECKING:
    from shoal.core.vmconfig import VMConfig

#: fields of ours that can be set and that no worker carries out yet
NOT_YET = frozenset({"virtio-ports", "qemu-append"})


def describe(config: VMConfig) -> str:
    """Return what `vm config` prints: a line for each field, in the peer's labels, its container part left out."""
    return "\n\n".join((_section("VM", config), _section("KVM", config)))


def to_words(config: VMConfig) -> list[list[str]]:
    """Return the commands, each as its words, that make `config` from the default configuration."""
    commands: list[list[str]] = []
    for field in FIELDS:
        if not is_default(config, field):
            commands += [["vm", "config", field.name, *words] for words in _words(field, config)]
    return commands


def unsupported(config: VMConfig) -> list[str]:
    """Return the names of the fields that forbid a launch.

    Of the peer's fields, those for containers never matter.
    """
    wanted = [field for field in FIELDS if field.matters or field.name in NOT_YET]
    return sorted(field.name for field in wanted if not is_default(config, field))


def _section(section: str, config: VMConfig) -> str:
    fields = [field for field in FIELDS if field.section == section]
    width = max(len(field.label) for field in fields) + 2
    lines = [
        f"{f'{field.label}:':<{width}}{show(field, value_of(config, field))}".rstrip() for field in fields
    ]
    return "\n".join((f"{section} configuration:", *lines))


def _words(field: Field, config: VMConfig) -> list[list[str]]:
    """Return the words of one command after the field's name, or of several for tags."""
    value = value_of(config, field)
    if field.kind == "tags":
        return [[key, text] for key, text in sorted(value.items())]
    if field.kind == "networks":
        return [[format_net(net) for net in value]]
    if field.kind == "disks":
        return [[format_disk(disk) for disk in value]]
    if field.kind == "words" or not field.attribute:
        return [list(value)]
    return [[show(field, value)]]
