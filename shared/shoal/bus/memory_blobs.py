"""The twin of `blobs` in memory, for simulations and tests: same Protocol, no server. It may hold damaged content.

Refuses to know NATS. It is the one place where content is held whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable

from shoal.bus.protocol import Unfinished
from shoal.errors import Conflict, Damaged, NotFound

_PART_BYTES = 64 * 1024


class MemoryBlobs:
    """`shoal.bus.protocol.BlobStore` in memory."""

    def __init__(self) -> None:
        #: digest → content; a test may damage it
        self.content: dict[str, bytes] = {}
        #: how often content was read
        self.reads = 0

    async def ensure(self, *, replicas: int) -> None:
        """Nothing is to be made."""
        del replicas

    async def find(self, digest: str) -> int | None:
        """The size of the content."""
        content = self.content.get(digest)
        return None if content is None else len(content)

    async def put(self, digest: str, parts: AsyncIterable[bytes], *, label: str) -> int:
        """Keep the content."""
        content = b"".join([part async for part in parts])
        if hashlib.sha256(content).hexdigest() != digest:
            raise Conflict(
                f"cannot put `{label}`: it changed while it was sent; put it again", names=(label,)
            )
        self.content[digest] = content
        return len(content)

    async def read(self, digest: str) -> AsyncGenerator[bytes, None]:
        """The content, part by part."""
        if digest not in self.content:
            raise NotFound(f"the content {digest[:12]}… is not in the cluster's file store", names=(digest,))
        self.reads += 1
        content = self.content[digest]
        for at in range(0, len(content), _PART_BYTES):
            yield content[at : at + _PART_BYTES]
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise Damaged(
                f"content in the file store is damaged: its digest is {found[:12]}…, not {digest[:12]}…"
            )

    async def digests(self) -> list[str]:
        """All content."""
        return list(self.content)

    async def delete(self, digest: str) -> None:
        """Forget content."""
        self.content.pop(digest, None)

    async def unfinished(self) -> list[Unfinished]:
        """Nothing is ever left."""
        return []

    async def abandon(self, upload: str) -> None:
        """Nothing is ever left."""
        del upload
