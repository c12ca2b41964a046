"""What the answers to questions work with: one host's parts.

This module refuses to know questions and the bus.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from shoal.bus.protocol import BlobStore
from shoal.messages.host_requests import Content
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import FileCache
from shoal_worker.guest_access import GuestAccess
from shoal_worker.hypervisor import Hypervisor
from shoal_worker.machine import Machine

_PART_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one host that questions are about. `host` is its name."""

    host: str
    hypervisor: Hypervisor
    access: GuestAccess
    machine: Machine
    desired: DesiredState
    cache: FileCache
    blobs: BlobStore


async def shelve(blobs: BlobStore, content: bytes, label: str) -> Content:
    """Put what is in memory into the cluster's file store; the leader gives it a name."""
    digest = hashlib.sha256(content).hexdigest()

    async def parts() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(content), _PART_BYTES):
            yield content[at : at + _PART_BYTES]

    if await blobs.find(digest) is None:
        await blobs.put(digest, parts(), label=label)
    return Content(digest=digest, size=len(content))
