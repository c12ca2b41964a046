"""Copies a disk with all that lies beneath it into one image of its own, with qemu-img.

qemu-img is told every file of the chain and its format, and reads none of that from the images: what a guest may have
written there leads nowhere. It ends with whoever waits for it, since while it reads an image no guest can have it.
This module refuses to know libvirt and guests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shoal_worker.core.domain_xml import Layer
from shoal_worker.hypervisor import HypervisorError

#: bytes of address space (prlimit(1)): a header that asks for more is not an honest one
_LIMITS = ("prlimit", f"--as={4 << 30}")


def block_device(chain: Sequence[Layer]) -> dict[str, Any]:
    """A chain of images, from the top down, as QEMU's own description of a block device (qapi/block-core.json)."""
    found: dict[str, Any] | None = None
    for layer in reversed(chain):
        file = {"driver": "file", "filename": layer.path}
        device: dict[str, Any] = {"driver": layer.format, "file": file}
        if layer.format == "qcow2":
            device["backing"] = found
        found = device
    if found is None:
        raise ValueError("a disk without an image")
    return found


async def flatten(chain: Sequence[Layer], target: Path) -> None:
    """Copy what a disk has into a new qcow2 image that needs no other. HypervisorError with qemu-img's reason."""
    source = "json:" + json.dumps(block_device(chain))
    command = (*_LIMITS, "qemu-img", "convert", "-q", "-O", "qcow2", source, str(target))
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except OSError as error:
        raise HypervisorError(f"cannot copy disk {chain[0].path}: no program prlimit") from error
    try:
        _, said = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.shield(process.wait())
        raise
    if process.returncode:
        reason = " ".join(said.decode(errors="replace").split())[-300:]
        raise HypervisorError(f"cannot copy disk {chain[0].path}: {reason or 'qemu-img gave no reason'}")
