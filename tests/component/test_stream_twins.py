"""The state stream in memory and the real one: what holds of one holds of the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.memory_bus import MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.bus.protocol import Bus, Conflicted, Event, Fenced, Message, StateStream, Write
from shoal.bus.streams import JetStreamState
from shoal.errors import TimedOut, Unavailable

Opened = Callable[[], contextlib.AbstractAsyncContextManager[tuple[Bus, StateStream]]]


@pytest.fixture(params=["real", "memory"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Connections to one server: a real one, or its twin."""
    if request.param == "real":
        url = request.getfixturevalue("nats_url")

        @contextlib.asynccontextmanager
        async def real() -> AsyncIterator[tuple[Bus, StateStream]]:
            async with await connect(url, name="t") as bus:
                yield bus, JetStreamState(bus)

        return real
    server = MemoryServer()
    streams = MemoryStreams(server)

    @contextlib.asynccontextmanager
    async def memory() -> AsyncIterator[tuple[Bus, StateStream]]:
        bus = server.connect("t")
        yield bus, MemoryState(bus, streams)
        await bus.close()

    return memory


async def test_batches_are_whole_fenced_and_numbered(opened: Opened) -> None:
    """A batch under the right fence is stored whole and without gaps, one under another's not at all."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"a", expect=0))
        writes = [
            Write(subjects.LEASE, b"1"),
            Write("shoal.launch.h.n.a", b"a"),
            Write("shoal.launch.h.n.b", b"b"),
        ]
        last = await state.commit(writes, fence=fence)
        found = await state.read("shoal.launch.h.>")
        assert [(s.subject, s.sequence) for s in found] == [
            ("shoal.launch.h.n.a", last - 1),
            ("shoal.launch.h.n.b", last),
        ]
        with pytest.raises(Fenced):
            await state.put(Write(subjects.FENCE, b"late", expect=0))
        await state.put(Write(subjects.FENCE, b"b", expect=fence))
        with pytest.raises(Fenced):
            await state.commit(writes, fence=fence)
        assert (await state.get(subjects.LEASE) or Write("", b"")).body == b"1"


async def test_wrong_expectations_store_nothing(opened: Opened) -> None:
    """A record that expects another sequence refuses its whole batch as Fenced, and a single write as Conflicted."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"a", expect=0))
        with pytest.raises(Fenced):
            await state.commit(
                [Write(subjects.LEASE, b"1"), Write("shoal.state.a", b"x", expect=7)], fence=fence
            )
        with pytest.raises(Conflicted):
            await state.put(Write("shoal.state.a", b"x", expect=7))
        assert await state.read("shoal.state.>") == []


async def test_pages_purges_and_absence(opened: Opened) -> None:
    """Any number is read, in order; a purge takes what is older; what is not there is None and an empty list."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        fence = await state.put(Write(subjects.FENCE, b"a", expect=0))
        for part in range(3):
            writes = [Write(f"shoal.state.x.{part}-{n}", b"x") for n in range(700)]
            await state.commit([Write(subjects.LEASE, b"%d" % part), *writes], fence=fence)
        found = await state.read("shoal.state.x.>")
        assert len(found) == 2100
        assert [s.sequence for s in found] == sorted(s.sequence for s in found)
        await state.purge("shoal.state.x.0-0", below=found[0].sequence)
        assert await state.get("shoal.state.x.0-0") == found[0]
        await state.purge("shoal.state.x.0-0", below=found[0].sequence + 1)
        assert await state.get("shoal.state.x.0-0") is None
        assert await state.read("shoal.state.y.>") == []


async def test_what_is_stored_is_told_and_what_is_refused_is_not(opened: Opened) -> None:
    """Listeners hear of what was stored, with its sequence; of a refused batch they hear nothing."""
    async with opened() as (_, state), opened() as (bus, __):
        await state.ensure(replicas=1)
        heard: asyncio.Queue[Message] = asyncio.Queue()
        await bus.subscribe(subjects.stored("shoal.launch.h.>"), heard.put_nowait)
        await bus.settle()
        fence = await state.put(Write(subjects.FENCE, b"a", expect=0))
        with pytest.raises(Fenced):
            await state.commit(
                [Write(subjects.LEASE, b""), Write("shoal.launch.h.n.a", b"no")], fence=fence + 9
            )
        last = await state.commit(
            [Write(subjects.LEASE, b""), Write("shoal.launch.h.n.a", b"yes")], fence=fence
        )
        message = await asyncio.wait_for(heard.get(), 5)
        assert (message.subject, message.body) == ("shoal.stored.launch.h.n.a", b"yes")
        assert message.headers["Nats-Sequence"] == str(last)


async def test_events_are_stored_once_and_heard(opened: Opened) -> None:
    """An event that is published twice under one id is stored once; the last of each subject can be read."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        subject = subjects.event("red", "vm", "started", "a")
        first = await state.publish_events([Event(subject, b"1", "id-1")])
        assert await state.publish_events([Event(subject, b"1", "id-1")]) == first
        second = await state.publish_events([Event(subject, b"2", "id-2")])
        assert second == first + 1
        other = await state.publish_events([Event(subjects.event("red", "vm", "started", "b"), b"3", "id-3")])
        found = [(s.sequence, s.body) async for s in state.last_events("shoal.event.red.>")]
        assert found == [(second, b"2"), (other, b"3")]


async def test_nobody_is_unavailable_and_silence_times_out(opened: Opened) -> None:
    """A question to nobody is refused at once; one to somebody who is silent when its time is over."""
    async with opened() as (asking, _), opened() as (listening, __):
        with pytest.raises(Unavailable, match="nobody answers"):
            await asking.request("shoal.nobody", b"", timeout_s=5)
        heard: asyncio.Queue[Message] = asyncio.Queue()
        subscription = await listening.subscribe("shoal.host.*", heard.put_nowait)
        await listening.settle()
        with pytest.raises(TimedOut):
            await asking.request("shoal.host.a", b"?", timeout_s=0.2)
        assert (await heard.get()).body == b"?"
        await subscription.stop()
        await listening.settle()
        # A message that wants an answer and reaches nobody is answered by the server.
        told: asyncio.Queue[Message] = asyncio.Queue()
        await asking.subscribe("_INBOX.me", told.put_nowait)
        await asking.settle()
        await asking.publish("shoal.host.a", b"", reply="_INBOX.me")
        assert (await asyncio.wait_for(told.get(), 5)).headers["Status"] == "503"


async def test_many_events_are_stored_in_their_order_whatever_was_there_before(opened: Opened) -> None:
    """Each is stored once, in order, also when some of them are there already and when all are published again."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        events = [
            Event(subjects.event("red", "vm", "started", f"vm{n}"), b"%d" % n, f"id-{n}") for n in range(300)
        ]
        await state.publish_events([events[7]])
        await state.publish_events(events)
        await state.publish_events(events)
        found = [(s.sequence, s.body) async for s in state.last_events("shoal.event.red.>")]
        assert sorted(sequence for sequence, _ in found) == list(range(1, 301))
        assert [body for _, body in found] == [events[7].body] + [
            event.body for number, event in enumerate(events) if number != 7
        ]


async def test_a_batch_that_is_tried_again_is_stored_once(opened: Opened) -> None:
    """A lease that expects its own sequence: the second attempt of a batch is refused, however late it comes."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        last = await state.commit(
            [Write(subjects.FENCE, b"f", expect=0), Write(subjects.LEASE, b"1", expect=0)], fence=0
        )
        batch = [Write(subjects.LEASE, b"2", expect=last), Write("shoal.state.a", b"old")]
        await state.commit(batch, fence=last - 1)
        stored = await state.get(subjects.LEASE)
        assert stored is not None
        later = [Write(subjects.LEASE, b"3", expect=stored.sequence), Write("shoal.state.a", b"new")]
        await state.commit(later, fence=last - 1)
        with pytest.raises(Fenced):
            await state.commit(batch, fence=last - 1)
        found = await state.get("shoal.state.a")
        assert found is not None
        assert found.body == b"new"


async def test_the_lead_is_taken_only_from_a_leader_that_is_silent(opened: Opened) -> None:
    """Fence and lease are written together: a pulse since the taker looked refuses both."""
    async with opened() as (_, state):
        await state.ensure(replicas=1)
        last = await state.commit(
            [Write(subjects.FENCE, b"f", expect=0), Write(subjects.LEASE, b"1", expect=0)], fence=0
        )
        await state.commit([Write(subjects.LEASE, b"2", expect=last)], fence=last - 1)
        taking = [Write(subjects.FENCE, b"g", expect=last - 1), Write(subjects.LEASE, b"x", expect=last)]
        with pytest.raises((Fenced, Conflicted)):
            await state.commit(taking, fence=last - 1)
        kept = await state.get(subjects.FENCE)
        assert kept is not None
        assert kept.body == b"f"
