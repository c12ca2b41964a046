"""The state stream against a real nats-server."""

import asyncio

import pytest

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Conflicted, Fenced, Message, Write
from shoal.bus.streams import JetStreamState
from shoal.errors import StoreUnavailable, Unavailable


async def test_batch_is_stored_whole_and_numbered_without_gaps(nats_url):
    """A batch of a thousand is stored with consecutive sequences and can be read back by filter."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"{}", expect=0))
        writes = [Write(subjects.LEASE, b"1")] + [
            Write(f"shoal.launch.h.n.v{i}", b"%d" % i) for i in range(999)
        ]
        last = await state.commit(writes, fence=fence)
        found = await state.read("shoal.launch.h.>")
        assert [(s.subject, s.body) for s in found] == [(w.subject, w.body) for w in writes[1:]]
        assert [s.sequence for s in found] == list(range(last - 998, last + 1))


async def test_second_leader_fences_the_first(nats_url):
    """Once another has written the fence, a batch of the predecessor is refused as a whole."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        old = await state.put(Write(subjects.FENCE, b"old", expect=0))
        with pytest.raises(Fenced):
            await state.put(Write(subjects.FENCE, b"late", expect=0))
        new = await state.put(Write(subjects.FENCE, b"new", expect=old))
        with pytest.raises(Fenced):
            await state.commit([Write(subjects.LEASE, b"1"), Write("shoal.launch.h.n.v", b"x")], fence=old)
        assert await state.read("shoal.launch.>") == []
        await state.commit([Write(subjects.LEASE, b"1"), Write("shoal.launch.h.n.v", b"x")], fence=new)
        assert len(await state.read("shoal.launch.>")) == 1


async def test_refused_messages_are_not_republished(nats_url):
    """Subscribers of the stored subjects see what was stored, and nothing of a batch that was refused."""
    async with await connect(nats_url, name="t") as bus, await connect(nats_url, name="w") as worker:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"x", expect=0))
        seen: asyncio.Queue[Message] = asyncio.Queue()
        await worker.subscribe(subjects.stored("shoal.launch.h.>"), seen.put_nowait)
        await worker.settle()
        with pytest.raises(Fenced):
            await state.commit(
                [Write(subjects.LEASE, b""), Write("shoal.launch.h.n.v", b"no")], fence=fence + 7
            )
        await state.commit([Write(subjects.LEASE, b""), Write("shoal.launch.h.n.v", b"yes")], fence=fence)
        message = await asyncio.wait_for(seen.get(), 5)
        assert (subjects.unstored(message.subject), message.body) == ("shoal.launch.h.n.v", b"yes")
        assert int(message.headers["Nats-Sequence"]) == fence + 2


async def test_purge_leaves_what_was_written_since(nats_url):
    """A purge below a sequence removes the tombstone, but not a record that came after it."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        first = await state.put(Write("shoal.state.a", b"1"))
        await state.put(Write("shoal.state.a", b"2"))
        await state.purge("shoal.state.a", below=first + 1)
        assert [s.body for s in await state.read("shoal.state.>")] == [b"2"]
        last = await state.get("shoal.state.a")
        assert last is not None
        await state.purge("shoal.state.a", below=last.sequence + 1)
        assert await state.get("shoal.state.a") is None


async def test_expectation_of_a_record_refuses_the_batch(nats_url):
    """A batch whose record expects another sequence of its own subject stores nothing."""
    async with await connect(nats_url, name="t") as bus:
        state = JetStreamState(bus)
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"x", expect=0))
        with pytest.raises((Fenced, Conflicted)):
            await state.commit(
                [Write(subjects.LEASE, b""), Write("shoal.launch.h.n.v", b"x", expect=3)], fence=fence
            )
        assert await state.read("shoal.launch.>") == []


async def test_no_server_is_said_within_two_seconds():
    """Connecting to nothing raises Unavailable that names the address and what to start."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    with pytest.raises(Unavailable, match=r"no NATS server at nats://127\.0\.0\.1:1 .*shoal up"):
        await connect("nats://127.0.0.1:1", name="t")
    assert loop.time() - before < 4


async def test_missing_stream_is_a_typed_error(nats_url):
    """Writing where no stream takes the subject raises StoreUnavailable, at once."""
    async with await connect(nats_url, name="t") as bus:
        with pytest.raises(StoreUnavailable, match=r"shoal\.state\.x"):
            await JetStreamState(bus).put(Write("shoal.state.x", b""))
