"""Makes disk images and looks at them with qemu-img: the real thing behind the Protocol `Images`.

Drafts lie in one folder, which is emptied when the first one is made. This module refuses to know guests and NATS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

from shoal.messages.disks import ImageRow
from shoal_worker import disk_images
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.image_copying import flatten
from shoal_worker.shelving import parts_of


class QemuImages:
    """Disk images of one host. `drafts` is a folder of its own."""

    def __init__(self, drafts: Path) -> None:
        self._drafts = drafts
        self._numbers = count()
        self._emptied = False
        self._lock = threading.Lock()

    async def create(self, form: str, size: int, path: str = "") -> str:
        """`qemu-img create`; nothing that is there is replaced."""
        target = Path(path) if path else await asyncio.to_thread(self._draft)
        await asyncio.to_thread(_check_free, target)
        await asyncio.to_thread(disk_images.make_empty, form, size, target)
        return str(target)

    async def overlay(self, source: str, path: str) -> None:
        """An overlay beside its base: elsewhere no VM could have it."""
        base, target = Path(source), Path(path)
        await asyncio.to_thread(_check_free, target)
        chain = await asyncio.to_thread(disk_images.inspect, source)
        if await asyncio.to_thread(lambda: base.resolve().parent != target.parent.resolve()):
            raise HypervisorError(
                f"cannot make {path} on top of {source}: a VM's disk may only need images in its own folder; "
                f"choose a path in {base.parent}"
            )
        await asyncio.to_thread(disk_images.make_overlay, chain[0], target)

    async def copy(self, source: str) -> str:
        """`qemu-img convert` of the whole chain."""
        chain = await asyncio.to_thread(disk_images.inspect, source)
        target = await asyncio.to_thread(self._draft)
        try:
            await flatten(chain, target)
        except BaseException:
            await asyncio.shield(self.discard(str(target)))
            raise
        return str(target)

    async def look(self, path: str) -> tuple[ImageRow, ...]:
        """`qemu-img info` of each image of the chain."""
        return await asyncio.to_thread(disk_images.look, path)

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """Read the draft on a thread."""
        async with contextlib.aclosing(parts_of(Path(path))) as parts:
            async for part in parts:
                yield part

    async def discard(self, path: str) -> None:
        """Remove the draft."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(os.unlink, path)

    def _draft(self) -> Path:
        with self._lock:
            if not self._emptied:
                # What a worker has left that was killed.
                shutil.rmtree(self._drafts, ignore_errors=True)
                self._emptied = True
            self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._drafts / f"{next(self._numbers)}.img"


def _check_free(target: Path) -> None:
    if os.path.lexists(target):
        raise HypervisorError(f"cannot make the image {target}: something is there already; remove it first")
