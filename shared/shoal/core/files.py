"""The cluster's files: what may be the name of one, and which of them a VM's configuration needs.

This module refuses to know which files exist and where their content is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig
from shoal.errors import InvalidRequest

#: marks a path of a VM's configuration as a file of the cluster; a relative path is one anyway
PREFIX = "file:"
#: the longest name, in characters: it is one token of a subject
NAME_LIMIT = 255

_NAME = re.compile(r"[a-zA-Z0-9\-_.+]+(?:/[a-zA-Z0-9\-_.+]+)*")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SINGLE = ("kernel", "initrd", "cdrom", "state")


def check_file(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a file of the cluster."""
    if name.startswith("/"):
        raise InvalidRequest(
            f"invalid file name, `{name}` begins with `/`: files of the cluster have no root"
        )
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"invalid file name, `{name}`: it may hold letters, digits, `-_.+`, and `/` between them"
        )
    if any(part in (".", "..") for part in name.split("/")):
        raise InvalidRequest(f"invalid file name, `{name}` must not hold `.` or `..` between slashes")
    if len(name) > NAME_LIMIT:
        raise InvalidRequest(f"invalid file name, `{name[:40]}…` is longer than {NAME_LIMIT} characters")
    return name


def check_digest(digest: str) -> str:
    """Return `digest`, or raise InvalidRequest if it is no SHA-256 in lower-case hexadecimal digits."""
    if not _DIGEST.fullmatch(digest):
        raise InvalidRequest(f"invalid digest, `{digest}`: expected a SHA-256 as 64 hexadecimal digits")
    return digest


def parent_conflict(name: str, names: Iterable[str]) -> str:
    """Why no file can have this name beside the others: one is a folder of it, or it is one of theirs; else empty."""
    for other in names:
        if name.startswith(f"{other}/"):
            return f"`{other}` is a file, not a directory"
        if other.startswith(f"{name}/"):
            return f"`{name}` is a directory"
    return ""


def file_of(path: str) -> str:
    """The name of the cluster's file that a path means; empty for an absolute path, which is the host's own.

    Raises InvalidRequest for what cannot be a name.
    """
    if not path or path.startswith("/"):
        return ""
    return check_file(path.removeprefix(PREFIX))


def files_of(config: VMConfig) -> dict[str, str]:
    """The names of the cluster's files that a VM needs, and the first field that names each.

    Raises InvalidRequest for what cannot be a name, and for a disk that the guest would write to: the files of the
    cluster are shared, and never change.
    """
    found: dict[str, str] = {}
    for field in _SINGLE:
        if name := file_of(getattr(config, field)):
            found.setdefault(name, field)
    for disk in config.disks:
        name = file_of(disk.path)
        if name and not config.snapshot:
            raise InvalidRequest(
                f"cannot launch with disk `{disk.path}` and snapshot false: files of the cluster are not written to; "
                "set snapshot true, or name a disk of the host by its absolute path"
            )
        if name:
            found.setdefault(name, "disks")
    return found


def placed(config: VMConfig, paths: Mapping[str, str]) -> VMConfig:
    """The configuration with the cluster's files replaced by where they are: name → absolute path."""
    changes: dict[str, object] = {}
    for field in _SINGLE:
        if name := file_of(getattr(config, field)):
            changes[field] = paths[name]
    if config.disks:
        changes["disks"] = tuple(
            replace(disk, path=paths[name]) if (name := file_of(disk.path)) else disk for disk in config.disks
        )
    return replace(config, **changes) if changes else config


def named_before_suffix(name: str, text: str) -> str:
    """The name with `text` before its suffix: `a/net.pcap` and `-mm1` are `a/net-mm1.pcap`."""
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:
        return f"{name}{text}"
    return f"{folder}{slash}{stem}{text}{dot}{suffix}"


def partial_name(name: str) -> str:
    """The name of a capture of which the end is missing: `net.partial.pcap` for `net.pcap` or `net`."""
    changed = named_before_suffix(name, ".partial")
    return f"{changed}.pcap" if changed.endswith(".partial") else changed


def size_text(size: int) -> str:
    """A size in bytes for people: `812 B`, `20.0 MiB`."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TiB"
