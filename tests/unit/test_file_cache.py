"""Fetched files on a host: whole and verified or not at all, shared, bounded, never taken from a guest."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from shoal import subjects
from shoal.bus.memory_blobs import MemoryBlobs
from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal.errors import Damaged, NotFound, Unavailable
from shoal.messages.desired import LaunchRecord
from shoal_worker import host_files
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.diff import spec_of
from shoal_worker.file_cache import CacheError, DiskCache, SimulatedCache
from shoal_worker.host_files import HostFiles


def add(blobs: MemoryBlobs, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs.content[digest] = content
    return digest


def nothing() -> set[str]:
    return set()


def held(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def ignore(done: int, size: int) -> None:
    pass


async def test_fetched_content_is_whole_read_only_and_alone(tmp_path: Path) -> None:
    """What was fetched is at its path, nobody may write to it, and no draft is left."""
    blobs = MemoryBlobs()
    digest = add(blobs, os.urandom(200_000))
    cache = DiskCache(tmp_path / "files", blobs, 1 << 20)
    assert not cache.holds(digest)
    told: list[tuple[int, int]] = []
    await cache.fetch(digest, nothing, lambda done, size: told.append((done, size)))
    assert cache.holds(digest)
    file = Path(cache.path(digest))
    assert file.read_bytes() == blobs.content[digest]
    assert file.stat().st_mode & 0o777 == 0o444
    assert told[-1] == (200_000, 200_000)
    assert held(tmp_path / "files") == [digest]


async def test_content_that_several_want_at_once_comes_once(tmp_path: Path) -> None:
    """Two who ask for the same content at the same time get it whole, from one transfer."""
    blobs = MemoryBlobs()
    digest = add(blobs, os.urandom(500_000))
    cache = DiskCache(tmp_path, blobs, 1 << 20)
    await asyncio.gather(*(cache.fetch(digest, nothing, ignore) for _ in range(3)))
    assert Path(cache.path(digest)).read_bytes() == blobs.content[digest]
    assert (blobs.reads, held(tmp_path)) == (1, [digest])


async def test_damaged_content_is_not_kept(tmp_path: Path) -> None:
    """Content with another digest, or that is not there, fails and leaves nothing behind."""
    blobs = MemoryBlobs()
    digest = add(blobs, b"good")
    blobs.content[digest] = b"evil"
    cache = DiskCache(tmp_path, blobs, 1 << 20)
    with pytest.raises(Damaged):
        await cache.fetch(digest, nothing, ignore)
    with pytest.raises(NotFound):
        await cache.fetch("0" * 64, nothing, ignore)
    assert held(tmp_path) == []


async def test_cancelled_fetch_leaves_nothing(tmp_path: Path) -> None:
    """A fetch that is cancelled in the middle leaves nothing; drafts of a killed worker go with the next one."""
    blobs = MemoryBlobs()
    digest = add(blobs, bytes(1_000_000))
    cache = DiskCache(tmp_path, blobs, 1 << 21)
    (tmp_path / f".{'1' * 64}.part").write_bytes(b"half")

    def cancel(done: int, size: int) -> None:
        assert done < size
        task.cancel()

    task = asyncio.create_task(cache.fetch(digest, nothing, cancel))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held(tmp_path) == []


async def test_oldest_unused_goes_first(tmp_path: Path) -> None:
    """When the cache is full, what was unused for longest is thrown out, and never what is in use."""
    blobs = MemoryBlobs()
    first, second, third, fourth = (add(blobs, bytes([n]) * 400) for n in range(4))
    cache = DiskCache(tmp_path, blobs, 1200)
    for age, digest in enumerate((first, second, third)):
        await cache.fetch(digest, nothing, ignore)
        os.utime(cache.path(digest), (age, age))
    await cache.fetch(fourth, lambda: {first}, ignore)
    assert set(held(tmp_path)) == {first, third, fourth}
    with pytest.raises(CacheError, match="too little space"):
        await cache.fetch(second, lambda: {first, third, fourth}, ignore)
    with pytest.raises(CacheError, match="--file-cache"):
        await cache.fetch(second, lambda: None, ignore)
    assert set(held(tmp_path)) == {first, third, fourth}


class Rig:
    def __init__(self, cache: DiskCache | SimulatedCache) -> None:
        self.cache = cache
        self.desired = DesiredState("h", "inc")
        self.woken = asyncio.Event()
        self.files = HostFiles(cache, self.desired, self.woken.set, structlog.get_logger())
        self.records: list[LaunchRecord] = []

    def want(self, name: str, files: dict[str, str]) -> LaunchRecord:
        record = LaunchRecord(
            namespace="foo",
            name=name,
            id=0,
            instance=f"i-{name}",
            revision=1,
            power="paused",
            host="h",
            incarnation="inc",
            uuid="u",
            config=VMConfig(kernel="file:k", disks=(DiskSpec("dir/d", "ide"),)),
            files=files,
        )
        self.desired.merge(subjects.launch("h", "foo", name), len(self.records) + 1, record)
        self.records.append(record)
        return record

    def ensure(self, group: asyncio.TaskGroup) -> None:
        self.woken.clear()
        self.files.ensure(self.records, set(), group, orphans=False)

    async def until_woken(self) -> None:
        async with asyncio.timeout(5):
            await self.woken.wait()


async def test_vms_share_one_download(tmp_path: Path) -> None:
    """Three VMs that need two files wait, saying so; each file is read once; then nothing waits and paths are set."""
    blobs = MemoryBlobs()
    kernel, disk = add(blobs, bytes(100_000)), add(blobs, b"disk")
    rig = Rig(DiskCache(tmp_path, blobs, 1 << 20))
    for name in ("a", "b", "c"):
        rig.want(name, {"k": kernel, "dir/d": disk})
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
        assert rig.files.waiting() == dict.fromkeys((("foo", n) for n in "abc"), "fetching k")
        rig.ensure(group)
    rig.ensure(group)
    assert rig.files.waiting() == rig.files.broken() == {}
    assert blobs.reads == 2
    spec = rig.files.spec(spec_of(rig.records[0]), rig.records[0])
    assert spec.config.kernel == str(tmp_path / kernel)
    assert spec.config.disks == (DiskSpec(str(tmp_path / disk), "ide"),)


async def test_what_cannot_be_had_breaks_its_vms_only(tmp_path: Path) -> None:
    """A VM whose file is gone is broken, with the file's name; another is not; once told, it may be tried again."""
    blobs = MemoryBlobs()
    good = add(blobs, b"good")
    rig = Rig(DiskCache(tmp_path, blobs, 1 << 20))
    rig.want("bad", {"k": "0" * 64, "dir/d": good})
    rig.want("fine", {"k": good, "dir/d": good})
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
    rig.ensure(group)
    assert set(rig.files.broken()) == {("foo", "bad")}
    assert "cannot fetch file k to host h: " in rig.files.broken()["foo", "bad"]
    assert rig.files.waiting() == {}
    again = rig.records.pop(0)
    rig.ensure(group)
    blobs.content["0" * 64] = b"x"
    rig.records.append(again)
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
        assert rig.files.broken() == {}
        assert rig.files.waiting() == {("foo", "bad"): "fetching k"}


async def test_a_start_after_a_failure_fetches_again(tmp_path: Path) -> None:
    """A VM that was told why its file cannot be had, and is started again before anything else has happened, has it
    fetched again; one that waited as well and was not told yet is told."""
    blobs = MemoryBlobs()
    rig = Rig(DiskCache(tmp_path, blobs, 1 << 20))
    for name in ("told", "late"):
        rig.want(name, {"k": "0" * 64})
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
    rig.ensure(group)
    assert set(rig.files.broken()) == {("foo", "told"), ("foo", "late")}
    rig.records[0] = replace(rig.records[0], revision=2)
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
        assert set(rig.files.broken()) == {("foo", "late")}
        assert rig.files.waiting() == {("foo", "told"): "fetching k"}
    rig.ensure(group)
    assert ("foo", "told") in rig.files.broken(), "it failed again, and that is told again"


async def test_a_store_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store does not answer a VM waits and says why; it is tried again and goes on."""
    monkeypatch.setattr(host_files, "_RETRY_S", 0.01)
    blobs = MemoryBlobs()
    kernel = add(blobs, b"k")
    away = [True]

    class Away(SimulatedCache):
        async def fetch(self, *arguments) -> None:
            if away[0]:
                raise Unavailable("no server")
            await super().fetch(*arguments)

    rig = Rig(Away(blobs))
    rig.want("a", {"k": kernel})
    async with asyncio.TaskGroup() as group:
        rig.ensure(group)
        await rig.until_woken()
        rig.ensure(group)
        assert rig.files.waiting() == {("foo", "a"): "fetching k: no server; it is tried again"}
        await rig.until_woken()
        away[0] = False
        rig.ensure(group)
        await rig.until_woken()
    rig.ensure(group)
    assert rig.files.waiting() == rig.files.broken() == {}
