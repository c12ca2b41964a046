"""The content of the cluster's files, as the leader sees it: what is there, and what nobody needs any more.

Refuses to know names of files and requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Iterator

import structlog

from shoal.bus.protocol import BlobStore
from shoal.errors import ShoalError
from shoal.messages.host_requests import Content
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.stored_files import needed

LOG = structlog.get_logger("shoal.files")
#: what nobody needs is removed when it was seen twice, this far apart: it may have been on its way to a name
SWEEP_S = 600.0


class FileShelf:
    """Content by digest, and a lock: a name is given to content only while nobody removes it.

    Who waits for content that hosts put there does so in `awaiting`, until it has its name.
    """

    def __init__(self, blobs: BlobStore, model: Model) -> None:
        self._blobs = blobs
        self._model = model
        self._stale: set[str] = set()
        self._unfinished: dict[str, int] = {}
        self._coming = 0
        self.lock = asyncio.Lock()

    async def holds(self, digest: str, size: int) -> bool:
        """Whether the content is there, with that size."""
        return await self._blobs.find(digest) == size

    async def put(self, body: bytes, label: str) -> Content:
        """Put what is in memory there; it is to get a name, or it is removed again."""
        digest = hashlib.sha256(body).hexdigest()
        if not await self.holds(digest, len(body)):

            async def parts() -> AsyncGenerator[bytes, None]:
                yield body

            await self._blobs.put(digest, parts(), label=label)
        return Content(digest=digest, size=len(body))

    @contextlib.contextmanager
    def awaiting(self) -> Iterator[None]:
        """Nothing is removed meanwhile: hosts put content there, or count on what is there, and it has no name yet.

        Which content that is, nobody knows before they have put all of it there.
        """
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    async def release(self, digest: str) -> None:
        """Remove content that a name has just lost, unless something else needs it; what stays a sweep removes."""
        try:
            async with self.lock:
                if self._coming:
                    self._stale.add(digest)
                elif digest not in needed(self._model):
                    await self._blobs.delete(digest)
        except ShoalError as error:
            LOG.warning("content-not-removed", digest=digest, error=error.message)

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep()
            except ShoalError as error:
                LOG.warning("files-not-swept", error=error.message)

    async def sweep(self) -> None:
        """Remove what was not needed the last time and is not now, and sendings that have not gone on since."""
        async with self.lock:
            stale = set(await self._blobs.digests()) - needed(self._model)
            for digest in stale & self._stale:
                if not self._coming:
                    await self._blobs.delete(digest)
                    LOG.info("content-removed", digest=digest)
            self._stale = stale if self._coming else stale - self._stale
        unfinished = {each.upload: each.parts for each in await self._blobs.unfinished()}
        for upload, parts in unfinished.items():
            if self._unfinished.get(upload) == parts:
                await self._blobs.abandon(upload)
                LOG.info("sending-abandoned", upload=upload, parts=parts)
        self._unfinished = unfinished
