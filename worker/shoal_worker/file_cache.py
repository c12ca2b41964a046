"""Content of the cluster's files on this host: fetched once, verified, kept by digest, thrown out when space is short.

Refuses to know which VM needs what, and names of files. `DiskCache` is the real one; `SimulatedCache` is for guests
that read nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from shoal.bus.protocol import BlobStore
from shoal.core.files import check_digest, size_text
from shoal.errors import NotFound
from shoal_worker.disk_room import is_full, lack

#: the folder in a worker's state folder that has the cluster's files
FILES = "files"
#: what a simulated host keeps in memory of a file, at most
_SMALL_BYTES = 16 * 1024

#: called with how many bytes have come, of how many
Progress = Callable[[int, int], None]


class CacheError(Exception):
    """The content cannot be kept here. The text is one line, for the user to read as the VM's reason."""


class FileCache(Protocol):
    """Content by SHA-256."""

    def path(self, digest: str) -> str:
        """Where the content is, or will be: an absolute path."""
        ...

    def holds(self, digest: str) -> bool:
        """Whether it is here, whole."""
        ...

    async def fetch(
        self, digest: str, used: Callable[[], Collection[str] | None], progress: Progress
    ) -> None:
        """Bring it here. `used` tells what must not be thrown out for it: some content, or (None) any.

        NotFound, Damaged or CacheError when that cannot be; Unavailable or TimedOut when it may work later.
        """
        ...


class DiskCache:
    """Content as files in one folder, together at most `limit` bytes."""

    def __init__(self, folder: Path, blobs: BlobStore, limit: int) -> None:
        self._folder = folder
        self._blobs = blobs
        self._limit = limit
        #: bytes that fetches under way will take
        self._coming: dict[str, int] = {}
        self._room = asyncio.Lock()
        #: held while content comes, by digest: two fetches would write into each other's draft
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def path(self, digest: str) -> str:
        """A file named by its digest."""
        return str(self._folder / check_digest(digest))

    def holds(self, digest: str) -> bool:
        """Whether there is such a file; only whole and verified ones get their names. It is used now."""
        try:
            os.utime(self.path(digest))
        except OSError:
            return False
        return True

    async def fetch(
        self, digest: str, used: Callable[[], Collection[str] | None], progress: Progress
    ) -> None:
        """Stream it into a draft, which gets its name when it is whole and on disk; once, whoever asks meanwhile."""
        async with self._fetching.setdefault(digest, asyncio.Lock()):
            if not await asyncio.to_thread(self.holds, digest):
                await self._fetch(digest, used, progress)

    async def _fetch(
        self, digest: str, used: Callable[[], Collection[str] | None], progress: Progress
    ) -> None:
        size = await self._blobs.find(digest)
        if size is None:
            raise NotFound(
                "its content is not in the cluster's file store any more: put it again", names=(digest,)
            )
        draft = self._folder / f".{digest}.part"
        try:
            async with self._room:
                await asyncio.to_thread(self._make_room, size, used())
                self._coming[digest] = size
            await self._receive(digest, draft, size, progress)
        except OSError as error:
            if is_full(error):
                raise CacheError(f"the disk is full: no space is left for it in {self._folder}") from error
            raise CacheError(f"cannot keep it in {self._folder}: {error.strerror or error}") from error
        finally:
            self._coming.pop(digest, None)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    async def _receive(self, digest: str, draft: Path, size: int, progress: Progress) -> None:
        done = 0
        with await asyncio.to_thread(draft.open, "wb") as file:
            async with contextlib.aclosing(self._blobs.read(digest)) as parts:
                async for part in parts:
                    await asyncio.to_thread(file.write, part)
                    done += len(part)
                    progress(done, size)
            await asyncio.to_thread(_settle, file.fileno(), file.flush)
        await asyncio.to_thread(draft.replace, self._folder / digest)

    def _make_room(self, size: int, used: Collection[str] | None) -> None:
        """Throw out what was unused for longest until there is room. CacheError when there cannot be."""
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = []
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                if path.name[1:].removesuffix(".part") not in self._coming:
                    path.unlink(missing_ok=True)  # left by a worker that was killed
                continue
            told = path.stat()
            found.append((told.st_mtime, told.st_size, path))
        coming = sum(self._coming.values())
        total = sum(each[1] for each in found) + coming
        unused = [each for each in sorted(found) if used is not None and each[2].name not in used]
        spare = sum(each[1] for each in unused)
        if total - spare + size > self._limit:
            raise CacheError(
                f"too little space for it ({size_text(size)}): the cache of this host may have "
                f"{size_text(self._limit)}, of which VMs use {size_text(total - spare)}; raise --file-cache"
            )
        # Nothing is thrown out in vain: first it is known that it suffices.
        if missing := lack(self._folder, size + coming - spare):
            raise CacheError(f"the disk is full: {missing}; make room there")
        for _, held, path in unused:
            if total + size <= self._limit and not lack(self._folder, size + coming):
                return
            path.unlink(missing_ok=True)
            total -= held


def _settle(descriptor: int, flush: Callable[[], None]) -> None:
    """On disk before it gets its name: a name stands for verified content also after a power loss."""
    flush()
    os.fchmod(descriptor, 0o444)
    os.fsync(descriptor)


class SimulatedCache:
    """The twin for simulated guests, which read hardly anything: looks whether the content is in the store.

    Small content, such as a simulated guest's state, is fetched into `content`.
    """

    def __init__(self, blobs: BlobStore, content: dict[str, bytes] | None = None) -> None:
        self._blobs = blobs
        self._held: set[str] = set()
        self._content = {} if content is None else content

    def path(self, digest: str) -> str:
        """A path that nobody opens."""
        return f"/simulated/{digest}"

    def holds(self, digest: str) -> bool:
        """Whether it was found before."""
        return digest in self._held

    async def fetch(
        self, digest: str, used: Callable[[], Collection[str] | None], progress: Progress
    ) -> None:
        """Look for its description."""
        del used
        size = await self._blobs.find(digest)
        if size is None:
            raise NotFound(
                "its content is not in the cluster's file store any more: put it again", names=(digest,)
            )
        if size <= _SMALL_BYTES:
            async with contextlib.aclosing(self._blobs.read(digest)) as parts:
                self._content[digest] = b"".join([part async for part in parts])
        progress(size, size)
        self._held.add(digest)
