"""The cluster's files against a real nats-server: put, get, list, delete, damage."""

import asyncio
import hashlib
import os
import random
import subprocess
import sys

import pytest

import shoal
from shoal import subjects
from shoal.bus.blobs import CHUNK_BYTES, NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.protocol import Unfinished
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict, Damaged, NotFound, StoreUnavailable, TimedOut
from shoal.messages.schedule import SetQueueing
from shoal.testing import cluster, nats_server
from shoal.testing.cluster import environment
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import FileRecord
from shoal_orchestrator.file_shelf import FileShelf
from shoal_worker.file_cache import DiskCache

SIZE = 20 * 1024 * 1024 + 17


async def parts_of(content, step=1_000_000):
    for at in range(0, len(content), step):
        yield content[at : at + step]


def digest_of(content):
    return hashlib.sha256(content).hexdigest()


async def upload_of(blobs, digest):
    found = await blobs._object(digest)
    assert found is not None
    return found.nuid


async def read_all(blobs, digest):
    return b"".join([part async for part in blobs.read(digest)])


@pytest.fixture(scope="module")
def content():
    return random.Random(7).randbytes(SIZE)


async def test_content_comes_back_as_it_was_sent(nats_url, content):
    """20 MiB go in and come out again, part by part; once deleted nothing of them is left in the stream."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        digest = digest_of(content)
        assert await blobs.find(digest) is None
        assert await blobs.put(digest, parts_of(content), label="x") == SIZE
        assert await blobs.find(digest) == SIZE
        assert await read_all(blobs, digest) == content
        assert await blobs.digests() == [digest]
        assert await blobs.unfinished() == []
        await blobs.delete(digest)
        assert await blobs.digests() == []
        info = await bus.client.jetstream().stream_info(subjects.FILE_STREAM)
        assert info.state.messages == 0


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1])
async def test_small_content(nats_url, size):
    """Content of no bytes, one, a chunk and a chunk more comes back as it was."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        small = bytes(size)
        await blobs.put(digest_of(small), parts_of(small), label="x")
        assert await read_all(blobs, digest_of(small)) == small


async def test_what_changes_while_it_is_sent_is_refused(nats_url):
    """Content with another digest than was said is refused, and leaves no parts behind."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        with pytest.raises(Conflict, match="changed while it was sent"):
            await blobs.put(digest_of(b"one"), parts_of(b"two"), label="x")
        assert await blobs.unfinished() == []
        assert await blobs.digests() == []


@pytest.mark.parametrize("stored", [True, False])
async def test_a_description_without_an_answer_costs_no_parts(nats_url, monkeypatch, stored):
    """It may have been stored: what is there decides, and nothing that is there is ever without its parts."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        content = bytes(range(256)) * 2000
        digest = digest_of(content)
        request = bus.request

        async def doubtful(subject, body, **options):
            described = subject == subjects.stored_object(digest)
            if described and not stored:
                raise TimedOut("no answer")
            answer = await request(subject, body, **options)
            if described:
                raise TimedOut("no answer")
            return answer

        monkeypatch.setattr(bus, "request", doubtful)
        if stored:
            assert await blobs.put(digest, parts_of(content), label="x") == len(content)
            assert await read_all(blobs, digest) == content
            assert await blobs.unfinished() == []
        else:
            with pytest.raises(StoreUnavailable, match="no answer"):
                await blobs.put(digest, parts_of(content), label="x")
            assert await blobs.find(digest) is None
            assert (
                len(await blobs.unfinished()) == 1
            )  # the leader sweeps them away when nothing comes of them


async def test_cancelled_sending_leaves_nothing(nats_url):
    """A sending that is cancelled in the middle leaves no parts behind."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        begun = asyncio.Event()

        async def endless():
            while True:
                yield bytes(CHUNK_BYTES)
                begun.set()
                await asyncio.sleep(0.01)

        task = asyncio.create_task(blobs.put(digest_of(b""), endless(), label="x"))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await blobs.unfinished() == []


async def test_damage_is_found(nats_url):
    """A part that was changed, or is missing, in the store makes reading fail at the end, never pass as whole."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        whole = os.urandom(3 * CHUNK_BYTES)
        digest = digest_of(whole)
        await blobs.put(digest, parts_of(whole), label="x")
        jetstream = bus.client.jetstream()
        await jetstream.delete_msg(subjects.FILE_STREAM, 2)
        with pytest.raises(Damaged, match="lacks parts"):
            await read_all(blobs, digest)
        upload = await upload_of(blobs, digest)
        await jetstream.publish(subjects.chunks(upload), bytes(CHUNK_BYTES))
        with pytest.raises(Damaged, match="damaged"):
            await read_all(blobs, digest)
        await blobs.put(digest, parts_of(whole), label="x")
        assert await read_all(blobs, digest) == whole
        assert await blobs.unfinished() == []


async def test_store_without_space_says_so():
    """A file that is larger than the store is refused with that reason, and leaves no parts behind."""
    with nats_server() as url:
        async with await connect(url, name="t") as bus:
            blobs = NatsBlobs(bus)
            await blobs.ensure(replicas=1)
            jetstream = bus.client.jetstream()
            config = (await jetstream.stream_info(subjects.FILE_STREAM)).config
            config.max_bytes = 1024 * 1024
            await jetstream.update_stream(config)
            big = bytes(2 * 1024 * 1024)
            with pytest.raises(StoreUnavailable, match="too little space"):
                await blobs.put(digest_of(big), parts_of(big), label="x")
            assert await blobs.unfinished() == []


def shoal_command(url, *words, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", *words],
        env=environment(url),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


async def test_put_list_get_delete(tmp_path, content):
    """Through a whole cluster, by the client and by the command line: what is put is listed, got, replaced, deleted."""
    source = tmp_path / "image.raw"
    source.write_bytes(content)
    async with cluster("mm1") as running, shoal.connect(running.url) as client:
        files = client.files
        answer = await files.put(source, "images/image.raw")
        assert answer.size == SIZE
        assert [(row.name, row.directory) for row in await files.list()] == [("images", True)]
        [row] = await files.list("images")
        assert (row.name, row.size, row.digest) == ("images/image.raw", SIZE, digest_of(content))
        target = tmp_path / "back"
        await files.get("images/image.raw", target)
        assert target.read_bytes() == content
        await files.put(source, "images/image.raw")  # the same again is no error
        source.write_bytes(b"other")
        with pytest.raises(Conflict, match="add `replace`"):
            await files.put(source, "images/image.raw")
        with pytest.raises(Conflict, match="is a file, not a directory"):
            await files.put(source, "images/image.raw/x")
        with pytest.raises(Conflict, match="something else is there"):
            await files.get("images/image.raw", source)
        await files.put(source, "images/image.raw", replace=True)
        code, out, err = await asyncio.to_thread(
            shoal_command, running.url, "file", "get", "images/image.raw", cwd=tmp_path
        )
        assert (code, out) == (0, ""), err  # it is there already, with this content
        code, out, err = await asyncio.to_thread(
            shoal_command, running.url, "file", "put", "image.raw", cwd=tmp_path
        )
        assert (code, out, err.splitlines()[-1]) == (0, "", "note: put as `image.raw` (5 B)")
        await files.delete("images/image.raw")
        with pytest.raises(NotFound, match="no such file"):
            await files.get("images/image.raw", target)
        assert [row.name for row in await files.list()] == ["image.raw"]
        async with await connect(running.url, name="t") as bus:
            assert await NatsBlobs(bus).digests() == [digest_of(b"other")]


async def test_worker_keeps_no_damaged_content(nats_url, tmp_path):
    """A worker that fetches content which was damaged in the store says so and keeps nothing of it."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        good, bad = os.urandom(2 * CHUNK_BYTES), os.urandom(2 * CHUNK_BYTES)
        for content in (good, bad):
            await blobs.put(digest_of(content), parts_of(content), label="x")
        jetstream = bus.client.jetstream()
        upload = await upload_of(blobs, digest_of(bad))
        await jetstream.purge_stream(subjects.FILE_STREAM, subject=subjects.chunks(upload))
        for _ in range(2):
            await jetstream.publish(subjects.chunks(upload), bytes(CHUNK_BYTES))
        cache = DiskCache(tmp_path, blobs, 1 << 30)
        await cache.fetch(digest_of(good), set, lambda *_: None)
        with pytest.raises(Damaged, match="damaged"):
            await cache.fetch(digest_of(bad), set, lambda *_: None)
        assert [path.name for path in tmp_path.iterdir()] == [digest_of(good)]
        assert not cache.holds(digest_of(bad))


async def test_launch_with_files_of_the_cluster(tmp_path):
    """VMs keep the content of their launch; without a file there is no launch; content that is lost is an ERROR."""
    source = tmp_path / "kernel"
    source.write_bytes(b"one")
    async with cluster("mm[1-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        config = VMConfig(kernel="file:kernel")
        with pytest.raises(NotFound, match="shoal file put PATH as kernel"):
            await ns.launch("a", config)
        await client.files.put(source)
        await ns.launch("a[1-4]", config)
        source.write_bytes(b"two")
        await client.files.put(source, replace=True)
        await ns.call(SetQueueing(enabled=True))
        await ns.launch("b", config)
        await client.files.delete("kernel")
        await ns.start("all")
        assert {row.state for row in await ns.vms()} == {"RUNNING"}
        async with await connect(running.url, name="t") as bus:
            blobs = NatsBlobs(bus)
            assert set(await blobs.digests()) == {digest_of(b"one"), digest_of(b"two")}
            await blobs.delete(digest_of(b"two"))
            launched = await ns.schedule()
            (failed,) = [row for row in await ns.vms() if row.state == "ERROR"]
            assert failed.name == "b"
            (failure,) = launched.failures
            assert failure.message == (
                f"b: cannot fetch file kernel to host {failed.host}: its content is not in the cluster's file store "
                "any more: put it again"
            )


async def test_what_nobody_needs_is_swept_away(nats_url):
    """Content without a name or a VM, and parts of a broken sending, go when they were seen twice without a change."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        for content in (b"named", b"stale"):
            await blobs.put(digest_of(content), parts_of(content), label="x")
        jetstream = bus.client.jetstream()
        for upload in ("broken", "busy"):
            await jetstream.publish(subjects.chunks(upload), b"part")
        model = Model()
        record = FileRecord(name="n", digest=digest_of(b"named"), size=5)
        model.apply(subject_of(record), record)
        shelf = FileShelf(blobs, model)
        await shelf.sweep()
        assert set(await blobs.digests()) == {digest_of(b"named"), digest_of(b"stale")}
        await jetstream.publish(subjects.chunks("busy"), b"part")
        await shelf.sweep()
        assert await blobs.digests() == [digest_of(b"named")]
        assert await blobs.unfinished() == [Unfinished("busy", 2)]
        await shelf.release(digest_of(b"named"))
        assert await read_all(blobs, digest_of(b"named")) == b"named"
        model.apply(subject_of(record), None)
        await shelf.release(digest_of(b"named"))
        assert await blobs.digests() == []


async def test_what_is_about_to_get_a_name_is_kept(nats_url):
    """While somebody awaits content, nothing is swept away or released; afterwards it goes like any other."""
    async with await connect(nats_url, name="t") as bus:
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        shelf = FileShelf(blobs, Model())
        content = await shelf.put(b"script", "launch.mm")
        assert await shelf.put(b"script", "launch.mm") == content
        with shelf.awaiting():
            await shelf.sweep()
            await shelf.sweep()
            await shelf.release(content.digest)
            assert await read_all(blobs, content.digest) == b"script"
        await shelf.sweep()
        assert await blobs.digests() == []
