"""Builds the initial RAM disk of the small test guest: a cpio archive, gzipped, the same bytes for the same input.

This module refuses to know where kernel, modules and busybox come from, and where the result is kept.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping

import msgspec

#: in this order: each needs those before it
MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
    "virtio_console",
    "e1000",
)
#: what the init script calls, besides the shell's builtins
APPLETS = (
    "cat",
    "hostname",
    "insmod",
    "ip",
    "mount",
    "nc",
    "ping",
    "poweroff",
    "readlink",
    "sed",
    "sh",
    "sleep",
    "sort",
    "stty",
    "timeout",
    "tr",
)

_DIRECTORY, _FILE, _LINK, _CHARACTER_DEVICE = 0o040755, 0o100000, 0o120777, 0o020600


class Entry(msgspec.Struct, frozen=True):
    """One member of an archive: path without a leading slash, mode with its type bits, content, device number."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def newc(entries: Iterable[Entry]) -> bytes:
    """Write the entries as a cpio archive in the "new ASCII" format (cpio(5), Linux's initramfs format).

    Owners are root and times are zero, so that the same entries give the same bytes.
    """
    archive = bytearray()
    for number, entry in enumerate(entries, start=1):
        archive += _member(entry, number)
    archive += _member(Entry("TRAILER!!!", 0), 0)
    return bytes(archive)


def _member(entry: Entry, number: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if entry.mode & 0o170000 == 0o040000 else 1
    numbers = (
        *(number, entry.mode, 0, 0, links, 0, len(entry.content)),
        *(0, 0, *entry.device, len(name), 0),
    )
    header = b"070701" + b"".join(b"%08X" % value for value in numbers)
    return _padded(header + name) + _padded(entry.content)


def _padded(block: bytes) -> bytes:
    return block + b"\0" * (-len(block) % 4)


def initrd(busybox: bytes, modules: Mapping[str, bytes], init: bytes) -> bytes:
    """Build the initrd from a static busybox, modules (name → the bytes of its .ko file) and the init script.

    Modules that the kernel does not have may be missing; those that are there are loaded in the order of MODULES.
    """
    order = [name for name in MODULES if name in modules]
    entries = [Entry(path, _DIRECTORY) for path in ("bin", "dev", "lib", "lib/modules", "proc", "sys")]
    # The kernel opens /dev/console for process 1 before anything can be mounted.
    entries.append(Entry("dev/console", _CHARACTER_DEVICE, device=(5, 1)))
    entries.append(Entry("init", _FILE | 0o755, init))
    entries.append(Entry("bin/busybox", _FILE | 0o755, busybox))
    entries += [Entry(f"bin/{applet}", _LINK, b"busybox") for applet in APPLETS]
    entries += [Entry(f"lib/modules/{name}.ko", _FILE | 0o644, modules[name]) for name in order]
    listing = "".join(f"{name}.ko\n" for name in order)
    entries.append(Entry("lib/modules/order", _FILE | 0o644, listing.encode()))
    return gzip.compress(newc(entries), compresslevel=9, mtime=0)
