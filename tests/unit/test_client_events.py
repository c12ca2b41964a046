"""Reading events by their numbers, from a stream in memory that does what real ones do to readers."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import eventually

from shoal import codec, subjects
from shoal.bus.event_history import StreamEvents
from shoal.bus.memory_events import MemoryEvents
from shoal.bus.protocol import EventHistory
from shoal.client.events import PAGE, Events, EventSource
from shoal.errors import EventsGone, NamespaceGone
from shoal.messages.events import Event, NamespaceRemoved, VMStarted


def tell(stream: MemoryEvents, name: str, namespace: str = "red") -> int:
    """Store a VM's start; its number."""
    event = VMStarted(namespace=namespace, name=name, event="VMStarted")
    return stream.store(subjects.event(namespace, "vm", "started", name), codec.encode(event, "json"))


def reader(stream: EventHistory, namespace: str = "red", since: int | None = None) -> Events:
    return Events(EventSource(stream), subjects.events(namespace), since=since, namespace=namespace)


async def take(events: Events, count: int) -> list[str]:
    async with asyncio.timeout(20):
        return [(await anext(events)).name for _ in range(count)]


def test_the_stream_and_its_twin_are_one_protocol() -> None:
    """Both ways to read events have the methods of the Protocol."""
    for history in (StreamEvents, MemoryEvents):
        assert all(hasattr(history, name) for name in ("bounds", "read", "watch"))


async def test_from_now_on_begins_where_the_context_is_entered() -> None:
    """Without `since` nothing older comes, and nothing that happens after entering is missed."""
    stream = MemoryEvents()
    tell(stream, "old")
    async with reader(stream) as events:
        assert (events.position, events.behind) == (1, 0)
        tell(stream, "other", "blue")
        tell(stream, "new")
        assert events.behind == 1
        assert await take(events, 1) == ["new"]
        assert (events.position, events.behind) == (3, 0)
    assert stream.watches == {}


@given(
    st.lists(st.sampled_from(["red", "blue", "take", "reconnect", "blind", "seeing"]), max_size=60),
    st.integers(0, 3),
)
def test_no_gap_and_no_repetition(steps: list[str], lag: int) -> None:
    """Whatever happens between its steps, a reader gets each event of its namespace once and in order."""

    async def run() -> None:
        stream = MemoryEvents()
        stored: list[str] = []
        got: list[str] = []
        async with reader(stream) as events:
            stream.lag = lag
            for number, step in enumerate(steps):
                stream.blind = step == "blind" or (stream.blind and step != "seeing")
                if step in ("red", "blue"):
                    tell(stream, f"vm{number}", step)
                    stored += [f"vm{number}"] * (step == "red")
                elif step == "take" and len(got) < len(stored) - lag:
                    got += await take(events, 1)
                elif step == "reconnect":
                    stream.reconnect()
            stream.lag = 0
            got += await take(events, len(stored) - len(got))
            assert got == stored

    asyncio.run(run())


async def test_a_later_reader_goes_on_after_a_position() -> None:
    """`since=position` continues with the event after it, over many pages."""
    stream = MemoryEvents()
    names = [f"vm{number}" for number in range(3 * PAGE)]
    for name in names:
        tell(stream, name)
    async with reader(stream, since=0) as events:
        assert await take(events, 100) == names[:100]
        assert events.behind == len(names) - 100
    async with reader(stream, since=events.position) as again:
        assert await take(again, len(names) - 100) == names[100:]


async def test_a_sequence_that_is_gone_is_named_with_what_there_is() -> None:
    """Events that were dropped: the error has the number asked for and the bounds; 0 begins with what is there."""
    stream = MemoryEvents()
    for number in range(10):
        tell(stream, f"vm{number}")
    stream.expire(6)
    with pytest.raises(EventsGone, match=r"events 3 to 5 are gone: the stream has 6 to 10") as refused:
        await anext(reader(stream, since=2))
    assert (refused.value.asked, refused.value.first, refused.value.last) == (3, 6, 10)
    assert await take(reader(stream, since=refused.value.first - 1), 5) == [f"vm{n}" for n in range(5, 10)]
    assert await take(reader(stream, since=0), 1) == ["vm5"]
    with pytest.raises(EventsGone, match="no event 12 can come next"):
        await anext(reader(stream, since=11))


async def test_a_slow_reader_hears_how_far_behind_it_is_and_what_it_missed() -> None:
    """`behind` counts what waits; when the oldest of that is dropped, the reader is told which, and others read on."""
    stream = MemoryEvents()
    source = EventSource(stream)
    async with (
        Events(source, subjects.events("red")) as slow,
        Events(source, subjects.events("red")) as quick,
    ):
        tell(stream, "vm0")
        assert await take(slow, 1) == await take(quick, 1) == ["vm0"]
        for number in range(1, 50):
            tell(stream, f"vm{number}")
        assert slow.behind == 49
        assert len(await take(quick, 49)) == 49
        stream.expire(21)
        with pytest.raises(EventsGone, match="events 2 to 20 are gone: the stream has 21 to 50"):
            await anext(slow)
        tell(stream, "last")
        assert await take(quick, 1) == ["last"]


@pytest.mark.parametrize("grown", [0, 5])
async def test_a_stream_that_went_backwards_is_no_wait_for_ever(grown: int) -> None:
    """A reader beyond the end of a restored stream hears of it, also when new events have taken the old numbers."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        for number in range(4):
            tell(stream, f"vm{number}")
        await take(events, 4)
        stream.go_back(1)
        for number in range(grown):
            tell(stream, f"new{number}")
        stream.reconnect()
        with pytest.raises(EventsGone, match="not the one that was read up to 4"):
            await anext(events)


async def test_a_stream_that_was_made_anew_is_noticed() -> None:
    """An emptied store is no store without news, not even for a reader that has had no event yet."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        stream.make_anew()
        tell(stream, "new")
        stream.reconnect()
        with pytest.raises(EventsGone, match="made anew"):
            await anext(events)


async def test_a_stream_that_is_away_is_waited_for() -> None:
    """While nothing can be asked the reader waits; then it goes on where it was."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        stream.away = True
        tell(stream, "while away")
        waiting = asyncio.create_task(take(events, 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        stream.away = False
        assert await waiting == ["while away"]


async def test_a_cancelled_step_loses_nothing() -> None:
    """A step that runs out of time can be taken again."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await anext(events)
        tell(stream, "vm")
        assert await take(events, 1) == ["vm"]


async def test_two_tasks_share_a_reader() -> None:
    """Each event goes to one of the tasks that read the same iterator."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        both = asyncio.gather(take(events, 5), take(events, 5))
        for number in range(10):
            tell(stream, f"vm{number}")
        first, second = await both
        assert sorted(first + second) == sorted(f"vm{number}" for number in range(10))


async def test_a_namespace_that_goes_ends_its_events() -> None:
    """After a namespace's last event the iterator says that it is gone; a history with a removal in it is read on."""
    stream = MemoryEvents()
    removed = codec.encode(NamespaceRemoved(event="NamespaceRemoved", namespace="red", name="red"), "json")
    subject = subjects.event("red", "namespace", "removed", "red")
    stream.store(subject, removed)
    tell(stream, "vm")
    events = reader(stream, since=0)
    assert await take(events, 2) == ["red", "vm"]
    stream.store(subject, removed)
    assert await take(events, 1) == ["red"]
    with pytest.raises(NamespaceGone, match="namespace `red` was removed") as gone:
        await anext(events)
    assert (gone.value.namespace, gone.value.position) == ("red", 3)


async def test_events_of_a_newer_version_are_events_all_the_same() -> None:
    """An event of an unknown kind, with unknown fields, has what all events share."""
    stream = MemoryEvents()
    async with reader(stream) as events:
        stream.store(
            "shoal.event.red.vm.cloned.a", b'{"event":"VMCloned","name":"a","namespace":"red","of":"b"}'
        )
        event = await anext(events)
        assert (type(event), event.event, event.name) == (Event, "VMCloned", "a")


async def test_a_dropped_iterator_leaves_nothing() -> None:
    """Who leaves a loop and forgets the iterator leaves no subscription behind, once anybody reads again."""
    stream = MemoryEvents()
    source = EventSource(stream)
    for number in range(3):
        tell(stream, f"vm{number}")
        async for event in Events(source, subjects.events("red"), since=0):
            assert event.name == "vm0"
            break
    gc.collect()
    async with Events(source, subjects.events("blue")):
        assert [subject for subject, _ in stream.watches.values()] == [subjects.events("blue")]

    async def nobody() -> bool:
        return not stream.watches

    await eventually(nobody, "no subscription is left")
