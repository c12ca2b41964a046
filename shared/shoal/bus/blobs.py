"""Content by its digest, in a JetStream object store (NATS ADR-20), so that `nats object ls shoal` shows it.

Refuses to know names of files. nats-py's own object store leaves the parts of a sending that was broken off, sends
one part at a time and waits for ever for a part that is missing; so only the form of what is stored is the same.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import nats.errors
import nats.js.errors
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from shoal import subjects
from shoal.bus.connection import NatsBus
from shoal.bus.direct import read_page
from shoal.bus.protocol import Unfinished
from shoal.errors import Conflict, Damaged, NotFound, StoreUnavailable, TimedOut, Unavailable

CHUNK_BYTES = 128 * 1024
#: parts that are sent before the first of them is acknowledged
_WINDOW = 8
_WRITE_TIMEOUT_S = 10.0
#: how long a sending that fails waits for what it has sent
_SETTLE_S = 2.0
_PAGE_PARTS = 16
_PAGE_BYTES = 4 * 1024 * 1024
#: a replica may lag behind for this long
_LAG_S, _LAG_STEP_S = 5.0, 0.25
#: nats-server: the account's, the server's and the stream's space is used up
_NO_SPACE = (10002, 10023, 10028, 10047, 10077)
_DIGEST = "SHA-256="


class _Object(msgspec.Struct, frozen=True, kw_only=True):
    """The description of an object: the fields of ADR-20 that matter here."""

    name: str
    nuid: str = ""
    size: int = 0
    chunks: int = 0
    digest: str = ""
    deleted: bool = False


class _Doubtful(StoreUnavailable):
    """Nobody knows whether something was stored."""


class NatsBlobs:
    """`shoal.bus.protocol.BlobStore` on JetStream."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus
        self._js = bus.client.jetstream(timeout=_WRITE_TIMEOUT_S)

    async def ensure(self, *, replicas: int) -> None:
        """Create the bucket unless it is there."""
        config = StreamConfig(
            name=subjects.FILE_STREAM,
            description="Shoal: the content of files, by its SHA-256",
            subjects=[subjects.ALL_CHUNKS, subjects.ALL_OBJECTS],
            storage=StorageType.FILE,
            num_replicas=replicas,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            allow_direct=True,
        )
        try:
            await self._js.stream_info(subjects.FILE_STREAM)
        except nats.js.errors.NotFoundError:
            try:
                await self._js.add_stream(config)
            except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
                raise StoreUnavailable(f"cannot create the store for files: {error}") from error
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(f"cannot look for the store for files: {error}") from error

    async def find(self, digest: str) -> int | None:
        """The size of the content, by its description."""
        found = await self._object(digest)
        return None if found is None else found.size

    async def _object(self, digest: str) -> _Object | None:
        try:
            message = await self._js.get_last_msg(subjects.FILE_STREAM, subjects.stored_object(digest))
            found = msgspec.json.decode(message.data or b"{}", type=_Object)
        except nats.js.errors.NotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise Damaged(
                f"the description of content {digest[:12]}… in the file store is damaged"
            ) from error
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(
                f"cannot look for content {digest[:12]}… in the file store: {error}"
            ) from error
        return None if found.deleted else found

    # --- sending -----------------------------------------------------------------------------------------

    async def put(self, digest: str, parts: AsyncIterable[bytes], *, label: str) -> int:
        """Send the parts, a few at a time, then the description that makes them an object."""
        before = await self._object(digest)
        upload = secrets.token_hex(11)
        try:
            size, count, found = await self._send(subjects.chunks(upload), parts)
            if found != digest:
                raise Conflict(
                    f"cannot put `{label}`: it changed while it was sent; put it again", names=(label,)
                )
        except BaseException:
            with contextlib.suppress(StoreUnavailable, asyncio.CancelledError):
                await asyncio.shield(self.abandon(upload))
            raise
        await self._describe(digest, upload, label=label, size=size, chunks=count)
        if before is not None and before.nuid:
            await self.abandon(before.nuid)
        return size

    async def _describe(self, digest: str, upload: str, *, label: str, size: int, chunks: int) -> None:
        """Store the description. Where nobody knows whether it was, what is there decides, and the parts stay."""
        body = {
            "name": digest,
            "description": label,
            "bucket": subjects.FILE_BUCKET,
            "nuid": upload,
            "size": size,
            "chunks": chunks,
            "digest": _DIGEST + base64.urlsafe_b64encode(bytes.fromhex(digest)).decode(),
            "mtime": datetime.now(UTC).isoformat(),
            "options": {"max_chunk_size": CHUNK_BYTES},
        }
        subject = subjects.stored_object(digest)
        try:
            await self._store(subject, json.dumps(body).encode(), {"Nats-Rollup": "sub"})
        except _Doubtful:
            stored = await self._object(digest)
            if stored is None or stored.nuid != upload:
                raise
        except StoreUnavailable:
            with contextlib.suppress(StoreUnavailable):
                await self.abandon(upload)
            raise

    async def _send(self, subject: str, parts: AsyncIterable[bytes]) -> tuple[int, int, str]:
        """Send all parts in order; returns how many bytes and chunks there were, and their digest."""
        digest, size, count, last = hashlib.sha256(), 0, 0, 0
        waiting: deque[asyncio.Task[int]] = deque()

        async def acknowledged() -> None:
            nonlocal last
            sequence = await waiting.popleft()
            if sequence <= last:
                raise StoreUnavailable("the file store took parts out of order; put the file again")
            last = sequence

        try:
            async for part in parts:
                digest.update(part)
                size += len(part)
                for at in range(0, len(part), CHUNK_BYTES):
                    if len(waiting) == _WINDOW:
                        await acknowledged()
                    count += 1
                    chunk = part[at : at + CHUNK_BYTES]
                    waiting.append(asyncio.create_task(self._store(subject, chunk)))
            while waiting:
                await acknowledged()
        finally:
            if waiting:
                # Parts under way would be stored after what was stored is removed.
                await asyncio.wait(waiting, timeout=_SETTLE_S)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return size, count, digest.hexdigest()

    async def _store(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        try:
            answer = await self._bus.request(subject, body, timeout_s=_WRITE_TIMEOUT_S, headers=headers)
        except (TimedOut, Unavailable) as error:
            raise _Doubtful(f"the file store did not take a part: {error}") from error
        said: dict[str, Any] = json.loads(answer.body or b"{}")
        refusal = said.get("error")
        if not refusal:
            return int(said["seq"])
        code, text = int(refusal.get("err_code", 0)), refusal.get("description", "no reason given")
        if code in _NO_SPACE:
            raise StoreUnavailable(
                f"too little space in the cluster's file store ({text}): delete files, or raise max_file_store"
            )
        raise StoreUnavailable(f"the file store did not take a part: {text} (code {code})")

    # --- reading -----------------------------------------------------------------------------------------

    async def read(self, digest: str) -> AsyncGenerator[bytes, None]:
        """Read pages of parts, and compare the digest at the end."""
        found = await self._object(digest)
        if found is None:
            raise NotFound(f"the content {digest[:12]}… is not in the cluster's file store", names=(digest,))
        hashed, count, sequence, size = hashlib.sha256(), 0, 1, 0
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while count < found.chunks:
            page = await read_page(
                self._bus,
                subjects.FILE_STREAM,
                subjects.chunks(found.nuid),
                sequence,
                batch=_PAGE_PARTS,
                max_bytes=_PAGE_BYTES,
            )
            for part in page.items:
                count, size, sequence = count + 1, size + len(part.body), part.sequence + 1
                hashed.update(part.body)
                yield part.body
            if page.items:
                heard_at = loop.time()
            elif loop.time() > heard_at + _LAG_S:
                raise Damaged(
                    f"content {digest[:12]}… in the file store lacks parts: {size} of {found.size} bytes"
                )
            else:
                await asyncio.sleep(_LAG_STEP_S)
        if hashed.hexdigest() != digest:
            raise Damaged(
                f"content in the file store is damaged: its digest is {hashed.hexdigest()[:12]}…, not {digest[:12]}…"
            )

    async def digests(self) -> list[str]:
        """The names of all objects."""
        return [found.name for found in await self._objects()]

    async def _objects(self) -> list[_Object]:
        found: list[_Object] = []
        sequence, more = 1, True
        while more:
            items, more = await read_page(
                self._bus,
                subjects.FILE_STREAM,
                subjects.ALL_OBJECTS,
                sequence,
                batch=1000,
                max_bytes=_PAGE_BYTES,
            )
            for stored in items:
                sequence = stored.sequence + 1
                with contextlib.suppress(msgspec.DecodeError):
                    found.append(msgspec.json.decode(stored.body, type=_Object))
            more = more and bool(items)
        return [each for each in found if not each.deleted]

    # --- removing ----------------------------------------------------------------------------------------

    async def delete(self, digest: str) -> None:
        """Remove the description first: what is left of a deletion that was broken off is unfinished."""
        found = await self._object(digest)
        if found is None:
            return
        await self._purge(subjects.stored_object(digest))
        if found.nuid:
            await self.abandon(found.nuid)

    async def unfinished(self) -> list[Unfinished]:
        """Parts that no object names."""
        try:
            info = await self._js.stream_info(subjects.FILE_STREAM, subjects_filter=subjects.ALL_CHUNKS)
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(f"cannot look into the file store: {error}") from error
        known = {each.nuid for each in await self._objects()}
        counts = info.state.subjects or {}
        return [
            Unfinished(subjects.uploaded(subject), count)
            for subject, count in counts.items()
            if subjects.uploaded(subject) not in known
        ]

    async def abandon(self, upload: str) -> None:
        """Remove the parts of one sending."""
        await self._purge(subjects.chunks(upload))

    async def _purge(self, subject: str) -> None:
        try:
            await self._js.purge_stream(subjects.FILE_STREAM, subject=subject)
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(f"cannot remove `{subject}` from the file store: {error}") from error
