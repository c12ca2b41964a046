"""Prepares the folder that libvirt's embedded QEMU driver lives in, and shares its probe of QEMU between folders.

This module refuses to know libvirt's calls. The driver's options are described in /etc/libvirt/qemu.conf.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: no virtlogd, no cgroups, no security labels, no ownership changes: one process that runs guests as itself
_QEMU_CONF = """\
stdio_handler = "file"
user = "root"
group = "root"
security_driver = "none"
security_default_confined = 0
cgroup_controllers = [ ]
namespaces = [ ]
dynamic_ownership = 0
remember_owner = 0
"""
_CAPABILITIES = Path("cache/qemu/capabilities")
_SHARED = "libvirt-capabilities"


def prepare(root: Path, cache: Path) -> None:
    """Make the folder and its configuration; seed it with an earlier probe of QEMU, which takes 8 s or more.

    libvirt itself checks that a probe fits the programs, kernel and processor, and probes again when not.
    """
    (root / "etc").mkdir(parents=True, exist_ok=True)
    _replace(root / "etc/qemu.conf", _QEMU_CONF.encode())
    _copy_probes(cache / _SHARED, root / _CAPABILITIES, replace=False)


def share_probe(root: Path, cache: Path) -> None:
    """Keep what the driver in `root` knows of QEMU for the next folder. Not being able to is no failure."""
    try:
        _copy_probes(root / _CAPABILITIES, cache / _SHARED, replace=True)
    except OSError:
        # A read-only cache only costs the next folder its own probe.
        return


def _copy_probes(source: Path, target: Path, *, replace: bool) -> None:
    for probe in sorted(source.glob("*.xml")):
        copy = target / probe.name
        content = probe.read_bytes()
        if copy.exists() and (not replace or copy.read_bytes() == content):
            continue
        target.mkdir(parents=True, exist_ok=True)
        _replace(copy, content)
        # libvirt compares the time of the probe with the time of the programs that it probed.
        shutil.copystat(probe, copy)


def _replace(path: Path, content: bytes) -> None:
    """Write whole or not at all: other workers of this machine read and write the same files."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
