"""What the answers to questions work with: one host's parts.

This module refuses to know questions and the bus.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from shoal.bus.protocol import BlobStore
from shoal.core.load import Capacity
from shoal.messages.desired import Claim
from shoal.messages.host_requests import Content
from shoal_worker.captures import Captures
from shoal_worker.core.actions import VMKey
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import FileCache
from shoal_worker.guest_access import GuestAccess
from shoal_worker.health import Health, SimulatedHealth
from shoal_worker.hypervisor import Hypervisor
from shoal_worker.images import Images
from shoal_worker.journal import Journal, MemoryJournal
from shoal_worker.machine import Machine
from shoal_worker.programs import Programs
from shoal_worker.simulated_images import SimulatedImages

_PART_BYTES = 128 * 1024


#: keeps a VM (namespace and name, instance) to whoever enters it
Hold = Callable[[VMKey, str], AbstractAsyncContextManager[None]]


def unheld(_: VMKey, __: str) -> AbstractAsyncContextManager[None]:
    """Where there is nobody who would do anything about VMs."""
    return nullcontext()


def nobody() -> Claim:
    """Where there is no worker that claims anything."""
    return Claim(host="", incarnation="", session="", version="", capacity=Capacity(cpus=0, memory_mib=0))


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of one host that questions are about. `host` is its name.

    `offered` is a directory of files that anybody may launch VMs with. `hold` has the reconciler leave a VM alone.
    `claim` is what the worker says of itself.
    """

    host: str
    hypervisor: Hypervisor
    access: GuestAccess
    machine: Machine
    desired: DesiredState
    cache: FileCache
    blobs: BlobStore
    captures: Captures
    programs: Programs
    images: Images = field(default_factory=SimulatedImages)
    offered: Path | None = None
    hold: Hold = unheld
    health: Health = field(default_factory=SimulatedHealth)
    journal: Journal = field(default_factory=lambda: MemoryJournal(""))
    claim: Callable[[], Claim] = nobody


async def shelve(blobs: BlobStore, content: bytes, label: str) -> Content:
    """Put what is in memory into the cluster's file store; the leader gives it a name."""
    digest = hashlib.sha256(content).hexdigest()

    async def parts() -> AsyncGenerator[bytes, None]:
        for at in range(0, len(content), _PART_BYTES):
            yield content[at : at + _PART_BYTES]

    if await blobs.find(digest) is None:
        await blobs.put(digest, parts(), label=label)
    return Content(digest=digest, size=len(content))
