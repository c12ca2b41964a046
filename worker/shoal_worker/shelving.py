"""Puts files of this host into the cluster's file store, part by part; the leader gives them names.

Refuses to know what the files are. A file is read twice: its digest comes first.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from shoal.bus.protocol import BlobStore
from shoal.core.files import size_text
from shoal.errors import Refused
from shoal.messages.host_requests import Content
from shoal_worker.answering import Told

_PART_BYTES = 128 * 1024

#: reads content from its beginning, part by part
Read = Callable[[], AsyncGenerator[bytes, None]]


async def shelve_parts(blobs: BlobStore, read: Read, label: str, told: Told) -> Content:
    """Put what `read` reads into the store, unless it is there already. `label` names it for people.

    Conflict when it changes meanwhile, StoreUnavailable when the store does not take it.
    """
    digest = hashlib.sha256()
    size = 0
    async with contextlib.aclosing(read()) as parts:
        async for part in parts:
            digest.update(part)
            size += len(part)
            told(0, 0, f"reading {label}: {size_text(size)}")
    name = digest.hexdigest()
    if await blobs.find(name) is None:
        sending = _counted(read, lambda done: told(done, size, f"putting {label}: {size_text(done)}"))
        async with contextlib.aclosing(sending) as parts:
            await blobs.put(name, parts, label=label)
    return Content(digest=name, size=size)


async def _counted(read: Read, told: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    done = 0
    async with contextlib.aclosing(read()) as parts:
        async for part in parts:
            yield part
            done += len(part)
            told(done)


async def parts_of(path: Path) -> AsyncGenerator[bytes, None]:
    """The content of a file, read on a thread. Refused when it cannot be read."""
    try:
        with await asyncio.to_thread(path.open, "rb") as file:
            while part := await asyncio.to_thread(file.read, _PART_BYTES):
                yield part
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror or error}") from error
