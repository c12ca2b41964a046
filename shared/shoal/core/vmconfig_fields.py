"""The fields of a VM's configuration: one table, and how each is set from words, cleared and shown.

This module refuses to know namespaces, hosts and files: whether a host is in the namespace is for who knows it.

Names, labels and defaults are the peer's (minimega 3.1, `vm config`). To add a field: an attribute of VMConfig
and a line in FIELDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from shoal.core.names import ALL, check_host, check_vm
from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.core.vmconfig_specs import format_disk, format_net, parse_disk, parse_net
from shoal.errors import InvalidRequest, UsageError

#: how a field is written: one word, an unsigned or signed integer, true or false, words, or a form of its own
Kind = Literal["word", "uint", "int", "bool", "words", "host", "vm", "uuid", "networks", "disks", "tags"]
#: where `vm config` prints it; "" is the peer's, for containers and Android: kept, never printed
Section = Literal["VM", "KVM", ""]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNSIGNED = re.compile(r"[0-9]+")
_SIGNED = re.compile(r"[+-]?[0-9]+")
#: sums over a cluster must stay within the 64 bits of a MessagePack integer
_LARGEST = 2**40


class Field(msgspec.Struct, frozen=True):
    """One field. `attribute` is VMConfig's, or empty for a field of the peer that is kept in `others`.

    `default` is what such a kept field shows while it is unset; `matters` tells that a launch would need it.
    """

    name: str
    kind: Kind
    label: str
    help: str
    section: Section
    attribute: str = ""
    default: str = ""
    minimum: int = 0
    matters: bool = False
    alias: str = ""


#: in the order in which `vm config` prints them
FIELDS: tuple[Field, ...] = (
    Field("memory", "uint", "Memory", "memory in MiB (2048)", "VM", "memory_mib", minimum=1),
    Field("vcpus", "uint", "VCPUs", "number of virtual CPUs (1)", "VM", "vcpus", minimum=1),
    Field(
        "networks",
        "networks",
        "Networks",
        "one [bridge,]vlan[,mac][,driver] for each interface",
        "VM",
        "networks",
    ),
    Field(
        "bonds", "words", "Bonds", "bonds of interfaces; not supported yet", "VM", default="[]", matters=True
    ),
    Field(
        "snapshot",
        "bool",
        "Snapshot",
        "boot from an overlay, leave the disks as they are (true)",
        "VM",
        "snapshot",
    ),
    Field("uuid", "uuid", "UUID", "the guest's UUID; random when unset", "VM", "uuid"),
    Field("schedule", "host", "Schedule host", "run on this host", "VM", "schedule"),
    Field(
        "coschedule",
        "int",
        "Coschedule limit",
        "at most so many other VMs on its host (-1)",
        "VM",
        "coschedule",
    ),
    Field("colocate", "vm", "Colocate", "run on the same host as this VM", "VM", "colocate"),
    Field("backchannel", "bool", "Backchannel", "accepted without effect", "VM", default="true"),
    Field("tags", "tags", "Tags", "key and value, for new VMs", "VM", "tags"),
    Field(
        "state",
        "word",
        "State Path",
        "saved state to go on from (vm save)",
        "KVM",
        "state",
        alias="migrate",
    ),
    Field("disks", "disks", "Disks", "one path[,driver][,cache] for each disk", "KVM", "disks"),
    Field("cdrom", "word", "CDROM Path", "image of a CD, to boot from", "KVM", "cdrom"),
    Field("kernel", "word", "Kernel Path", "kernel to boot", "KVM", "kernel"),
    Field("initrd", "word", "Initrd Path", "initial RAM disk for the kernel", "KVM", "initrd"),
    Field("append", "words", "Kernel Append", "command line of the kernel", "KVM", "append"),
    Field(
        "qemu",
        "word",
        "QEMU Path",
        "QEMU binary; the worker's own is used",
        "KVM",
        default="kvm",
        matters=True,
    ),
    Field("qemu-append", "words", "QEMU Append", "further arguments of QEMU", "KVM", "qemu_append"),
    Field("serial-ports", "uint", "Serial Ports", "number of serial ports (0)", "KVM", "serial_ports"),
    Field(
        "virtio-ports",
        "word",
        "Virtio-Serial Ports",
        "virtio ports: a number, or names",
        "KVM",
        "virtio_ports",
    ),
    Field("machine", "word", "Machine", "machine type of QEMU", "KVM", "machine"),
    Field("cpu", "word", "CPU", "CPU model of QEMU (host)", "KVM", "cpu"),
    Field("cores", "uint", "Cores", "cores of a socket (0: computed)", "KVM", default="0", matters=True),
    Field("threads", "uint", "Threads", "threads of a core (0: computed)", "KVM", default="0", matters=True),
    Field("sockets", "uint", "Sockets", "CPU sockets (0: computed)", "KVM", default="0", matters=True),
    Field("vga", "word", "VGA", "graphics card (std)", "KVM", "vga"),
    Field(
        "usb-use-xhci", "bool", "Usb Use XHCI", "USB 3 controller (true)", "KVM", default="true", matters=True
    ),
    Field(
        "bidirectional-copy-paste",
        "bool",
        "Bidirectional Copy Paste",
        "copy and paste through VNC (false)",
        "KVM",
        default="false",
        matters=True,
    ),
    Field("tpm-socket", "word", "TPM Socket", "socket of a software TPM", "KVM", matters=True),
    Field("qemu-override", "words", "QEMU Override", "replacements in QEMU's arguments", "", matters=True),
    Field("filesystem", "word", "Filesystem Path", "for containers: kept, without effect", ""),
    Field("hostname", "word", "Hostname", "for containers: kept, without effect", ""),
    Field("init", "words", "Init", "for containers: kept, without effect", "", default="[/init]"),
    Field("preinit", "word", "Pre-init", "for containers: kept, without effect", ""),
    Field("fifos", "uint", "FIFOs", "for containers: kept, without effect", "", default="0"),
    Field("volume", "words", "Volumes", "for containers: kept, without effect", ""),
)

_DEFAULTS = VMConfig()
#: commands that begin as a field's does, and come here when their own words do not fit
_COMMANDS = {"save": "<name>", "restore": "[name]", "clone": "<vm>"}


def resolve_field(word: str) -> Field:
    """Return the field of that name or unambiguous prefix; an exact name wins.

    Raises UsageError for an unknown and for an ambiguous word.
    """
    matches: list[Field] = []
    for field in FIELDS if word else ():
        if word in (field.name, field.alias):
            return field
        if field.name.startswith(word) or field.alias.startswith(word):
            matches.append(field)
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(sorted(field.name for field in matches))
        raise UsageError(f"ambiguous field `{word}`: it may be {names}")
    if word in _COMMANDS:
        raise UsageError(f"`vm config {word}` is no field: expected `vm config {word} {_COMMANDS[word]}`")
    name, equals, value = word.partition("=")
    meant = [field.name for field in FIELDS if name and field.name.startswith(name)] if equals else []
    raise UsageError(
        f"unknown field of vm config: `{word}`; see `help vm config`",
        details=(f"values stand after a space: `vm config {meant[0]} {value}`",) if len(meant) == 1 else (),
    )


def set_field(config: VMConfig, field: str, words: Sequence[str]) -> VMConfig:
    """Return `config` with one field set from the words after its name (a prefix will do).

    `tags` adds one tag, all others replace. Raises UsageError for a wrong number of words and InvalidRequest for
    a bad value or one that contradicts another field.
    """
    found = resolve_field(field)
    if found.kind == "tags":
        key, value = _expect(found, words, 2)
        return _replace(config, found, {**config.tags, key: value})
    value = _parse(found, words)
    if found.kind == "host" and config.colocate:
        raise InvalidRequest("cannot specify schedule and colocate in the same config")
    if found.kind == "vm" and config.schedule:
        raise InvalidRequest("cannot specify colocate and schedule in the same config")
    return _replace(config, found, value)


def clear_field(config: VMConfig, field: str | None = None, key: str | None = None) -> VMConfig:
    """Return `config` with one field as it is by default, or, without `field`, the default configuration.

    `key` clears one tag (`all`: every one). A key that is not there is no error.
    """
    if field is None:
        return VMConfig()
    found = resolve_field(field)
    if found.kind == "tags" and key not in (None, ALL):
        return _replace(config, found, {tag: value for tag, value in config.tags.items() if tag != key})
    if key is not None and found.kind != "tags":
        raise UsageError(f"clear vm config {found.name} takes no further words: `{key}`")
    return _replace(config, found, None)


def get_field(config: VMConfig, field: str, key: str | None = None) -> str:
    """Return what the prompt prints for one field: `[a b c]` for a list, nothing for an unset one.

    `key` asks for one tag.
    """
    found = resolve_field(field)
    value = value_of(config, found)
    if found.kind == "tags":
        if key is not None:
            return config.tags.get(key, "")
        return "\n".join(f"{tag} -> {text}" for tag, text in sorted(config.tags.items()))
    if found.kind == "words" and not value and found.section == "KVM":
        return ""
    return show(found, value)


def value_of(config: VMConfig, field: Field) -> Any:
    """Return a field's value: VMConfig's, or the kept words of one of the peer's (none while it is unset)."""
    return getattr(config, field.attribute) if field.attribute else config.others.get(field.name, ())


def is_default(config: VMConfig, field: Field) -> bool:
    """Tell whether a field says the same as when it was never set."""
    value = value_of(config, field)
    if field.attribute:
        return bool(value == getattr(_DEFAULTS, field.attribute))
    return show(field, value) == show(field, ())


def show(field: Field, value: Any) -> str:
    """Return a value as the line of `vm config` shows it."""
    if not field.attribute:
        if not value:
            return field.default
        return f"[{' '.join(value)}]" if field.kind == "words" else str(value[0])
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "words":
        return f"[{' '.join(value)}]"
    if field.kind == "networks":
        return f"[{' '.join(map(format_net, value))}]"
    if field.kind == "disks":
        return f"[{' '.join(map(format_disk, value))}]"
    if field.kind == "tags":
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def _replace(config: VMConfig, field: Field, value: Any) -> VMConfig:
    """Set the attribute, or the kept words; None is the default."""
    if field.attribute:
        value = getattr(_DEFAULTS, field.attribute) if value is None else value
        return msgspec.structs.replace(config, **{field.attribute: value})
    others = {name: words for name, words in config.others.items() if name != field.name}
    if value is not None:
        others[field.name] = tuple(map(str, value)) if field.kind == "words" else (_plain(value),)
    return msgspec.structs.replace(config, others=others)


def _plain(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _expect(field: Field, words: Sequence[str], count: int) -> Sequence[str]:
    if len(words) != count:
        what = "one value" if count == 1 else "a key and a value"
        raise UsageError(f"vm config {field.name} takes {what}, not {len(words)}: `{' '.join(words)}`")
    return words


def _parse(field: Field, words: Sequence[str]) -> Any:
    if field.kind in ("words", "networks", "disks"):
        if not words:
            raise UsageError(
                f"vm config {field.name} takes one value or more; `clear vm config {field.name}` unsets it"
            )
        return _parse_list(field, words)
    word = _expect(field, words, 1)[0]
    if field.kind in ("uint", "int"):
        return _parse_integer(field, word)
    if field.kind == "bool":
        return _parse_bool(field, word)
    if field.kind == "host":
        return check_host(word)
    if field.kind == "vm":
        return check_vm(word)
    if field.kind == "uuid":
        if not _UUID.fullmatch(word):
            raise InvalidRequest(f"invalid UUID: `{word}`; expected 8-4-4-4-12 hexadecimal digits")
        return word.lower()
    return word


def _parse_list(
    field: Field, words: Sequence[str]
) -> tuple[str, ...] | tuple[NetSpec, ...] | tuple[DiskSpec, ...]:
    if field.kind == "networks":
        return tuple(map(parse_net, words))
    if field.kind == "words":
        return tuple(words)
    disks = tuple(map(parse_disk, words))
    _check_distinct(disks)
    return disks


def _check_distinct(disks: Sequence[DiskSpec]) -> None:
    paths = [disk.path for disk in disks]
    for path in paths:
        if paths.count(path) > 1:
            raise InvalidRequest(f"disk conflict: `{path}` is specified twice in one VM")


def check_value(field: Field, value: Any) -> None:
    """Raise what setting the field to this value by words would raise; networks, disks and tags are not looked into."""
    match field.kind:
        case "uint" | "int":
            _check_integer(field, value)
        case "host" | "vm" | "uuid" | "word":
            _parse(field, [value])
        case "disks":
            _check_distinct(value)


def _parse_integer(field: Field, word: str) -> int:
    # the peer's error texts, which scripts' authors know
    parse, pattern = ("ParseUint", _UNSIGNED) if field.kind == "uint" else ("ParseInt", _SIGNED)
    if not pattern.fullmatch(word):
        raise InvalidRequest(
            f'strconv.{parse}: parsing "{word}": invalid syntax',
            details=(f"{field.name} is a whole number, without a unit: {field.help}",),
        )
    if len(word) > 20 or abs(int(word)) > _LARGEST:
        raise InvalidRequest(f'strconv.{parse}: parsing "{word}": value out of range')
    return _check_integer(field, int(word))


def _check_integer(field: Field, value: int) -> int:
    if abs(value) > _LARGEST:
        raise InvalidRequest(f"invalid {field.name}: `{value}` is out of range")
    if field.kind == "int" and value < -1:
        raise InvalidRequest(
            f"invalid {field.name}: `{value}`; expected -1 (no limit) or the number of other VMs"
        )
    if field.kind == "uint" and value < field.minimum:
        raise InvalidRequest(f"invalid {field.name}: `{value}`; expected {field.minimum} or more")
    return value


def _parse_bool(field: Field, word: str) -> bool:
    for text, value in (("true", True), ("false", False)):
        if word and text.startswith(word):
            return value
    raise UsageError(f"invalid {field.name}: `{word}`; expected true or false")
