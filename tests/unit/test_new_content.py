"""Content that hosts made for a new name, when somebody puts a file of that name just before it has it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from tests.unit.leader_rig import Term, term

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.errors import Conflict
from shoal.messages.disks import CreateDisk, SnapshotDisk
from shoal.messages.host_requests import Content
from shoal_orchestrator.core.records import FileRecord, HostRecord
from shoal_orchestrator.file_shelf import FileShelf
from shoal_orchestrator.handlers.disks import create_disk, snapshot_disk
from shoal_orchestrator.handlers.offering import offered

MADE = hashlib.sha256(b"made").hexdigest()
BASE = FileRecord(name="base", digest=MADE, size=4)


class Workers:
    """Each of them has made the same content."""

    async def ask(self, *_: object) -> Content:
        return Content(digest=MADE, size=4)


@contextlib.asynccontextmanager
async def storing() -> AsyncIterator[Term]:
    """A term whose file store has what hosts make."""
    async with term(HostRecord(name="head", incarnation="inc"), BASE, workers=Workers()) as one:
        blobs = MemoryBlobs()
        blobs.content[MADE] = b"made"
        one.leader.shelf = FileShelf(blobs, one.store.model)
        one.alive("head")
        yield one


async def overtaken(one: Term, naming: Coroutine[Any, Any, Any], digest: str) -> None:
    """Name content, while somebody before it at the shelf puts a file named x."""
    async with one.leader.shelf.lock:
        named = asyncio.ensure_future(naming)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not named.done()
        await one.put(FileRecord(name="x", digest=digest, size=4))
    await named


async def test_an_offered_file_replaces_none_that_was_put() -> None:
    """A file that a user has just put is the one that a launch takes, whatever the head has under its name."""
    async with storing() as one:
        await overtaken(one, offered(one.leader, ["x"], one.call()), "put")
        assert one.store.model.files["x"].digest == "put"


@pytest.mark.parametrize("digest", ["put", MADE], ids=["other", "same"])
@pytest.mark.parametrize("snapshot", ["", "base", "/base"], ids=["create", "name", "copy"])
async def test_a_new_disk_replaces_no_file_that_was_put(snapshot: str, digest: str) -> None:
    """Of two who give a name to something new, the second is refused, even with the same content."""
    async with storing() as one:
        making: Coroutine[Any, Any, Any]
        if snapshot:
            making = snapshot_disk(one.leader, "", SnapshotDisk(image=snapshot, target="x"), one.call())
        else:
            making = create_disk(one.leader, "", CreateDisk(form="qcow2", image="x", size="1M"), one.call())
        with pytest.raises(Conflict, match="`x` is in the cluster already: choose another name"):
            await overtaken(one, making, digest)
        assert one.store.model.files["x"].digest == digest
