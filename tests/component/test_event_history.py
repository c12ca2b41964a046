"""Events read from a real server: pages, wake-ups, restarts, what is gone, restored stores."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shoal import codec, subjects
from shoal.bus.connection import NatsBus, connect
from shoal.bus.event_history import StreamEvents
from shoal.bus.protocol import Event
from shoal.bus.streams import JetStreamState
from shoal.client.events import PAGE, Events, EventSource
from shoal.errors import EventsGone, ShoalError, StoreUnavailable
from shoal.messages.events import VMStarted
from shoal.testing.nats_server import NatsServer, running_nats_server


class Stream:
    """A server, the stream of events on it, and a connection for who publishes."""

    def __init__(self, server: NatsServer, bus: NatsBus) -> None:
        self.server = server
        self.bus = bus
        self.state = JetStreamState(bus)

    async def tell(self, *names: str, namespace: str = "red") -> int:
        """Publish events, each until the stream has it; the last one's number."""
        last = 0
        for name in names:
            event = VMStarted(event="VMStarted", namespace=namespace, name=name, id=name)
            subject = subjects.event(namespace, "vm", "started", name)
            while True:
                with contextlib.suppress(ShoalError):
                    last = await self.state.publish_events(
                        [Event(subject, codec.encode(event, "json"), name)]
                    )
                    break
                await asyncio.sleep(0.1)
        return last


@contextlib.asynccontextmanager
async def stream(store: Path | None = None) -> AsyncIterator[Stream]:
    with running_nats_server(store) as server:
        async with await connect(server.url, name="publisher") as bus:
            there = Stream(server, bus)
            await there.state.ensure(replicas=1)
            yield there


@contextlib.asynccontextmanager
async def reader(there: Stream, *, since: int | None = None, namespace: str = "red") -> AsyncIterator[Events]:
    async with (
        await connect(there.server.url, name="reader") as bus,
        Events(EventSource(StreamEvents(bus)), subjects.events(namespace), since=since) as events,
    ):
        yield events


async def take(events: Events, count: int) -> list[str]:
    async with asyncio.timeout(60):
        return [(await anext(events)).name for _ in range(count)]


async def test_events_wake_their_readers_and_come_once() -> None:
    """Readers of a namespace, a VM and all get what is theirs, in order, as it is stored; a page more than one too."""
    async with (
        stream() as there,
        reader(there) as red,
        reader(there, namespace="") as everything,
        reader(there, namespace="blue") as blue,
    ):
        names = [f"vm{number}" for number in range(PAGE + 50)]
        await there.tell(*names)
        await there.tell("only", namespace="blue")
        assert await take(red, len(names)) == names
        assert await take(everything, len(names) + 1) == [*names, "only"]
        assert await take(blue, 1) == ["only"]
        loop = asyncio.get_running_loop()
        began = loop.time()
        waiting = asyncio.create_task(take(red, 1))
        await there.tell("woken")
        assert await waiting == ["woken"]
        assert loop.time() - began < 8  # by the wake-up, not by the look that comes every ten seconds
        assert (red.behind, blue.behind, everything.behind) == (0, 0, 1)


async def test_a_server_killed_and_started_again_leaves_no_gap() -> None:
    """Over kill -9 of the server, twice, while events are published, a reader gets each of them once."""
    async with stream() as there, reader(there) as events:
        names = [f"vm{number}" for number in range(60)]

        async def publish() -> None:
            for number, name in enumerate(names):
                if number in (20, 40):
                    there.server.kill()
                    there.server.start()
                await there.tell(name)

        publishing = asyncio.create_task(publish())
        assert await take(events, len(names)) == names
        await publishing


async def test_what_is_gone_is_told_with_what_there_is() -> None:
    """Purged events are named, with the first that is there; a reader that has read them already does not mind."""
    async with stream() as there, reader(there) as quick, reader(there, since=0) as slow:
        await there.tell(*(f"vm{number}" for number in range(10)))
        assert await take(quick, 10) == [f"vm{number}" for number in range(10)]
        await there.bus.client.jetstream().purge_stream(subjects.EVENT_STREAM, seq=6)
        with pytest.raises(EventsGone, match="the stream has 6 to 10") as gone:
            async with reader(there, since=2):
                pass
        assert gone.value.first == 6
        assert await take(slow, 1) == ["vm5"]
        async with reader(there, since=gone.value.first - 1) as again:
            assert await take(again, 5) == [f"vm{number}" for number in range(5, 10)]
        await there.bus.client.jetstream().purge_stream(subjects.EVENT_STREAM)
        await there.tell("new")
        assert await take(quick, 1) == ["new"]
        assert await take(slow, 4) == [f"vm{number}" for number in range(6, 10)]


def restored(store: Path, copy: Path) -> None:
    shutil.rmtree(store)
    shutil.copytree(copy, store)


@pytest.mark.parametrize(
    ("damage", "grown"),
    [(restored, 0), (restored, 8), (lambda store, _: shutil.rmtree(store), 8)],
    ids=["restored", "restored-and-grown", "emptied-and-grown"],
)
async def test_a_store_that_went_backwards_is_told(
    tmp_path: Path, damage: Callable[[Path, Path], None], grown: int
) -> None:
    """An older copy of the store, or an empty one, under a reader: it hears of it instead of waiting for ever."""
    store, copy = tmp_path / "store", tmp_path / "copy"
    async with stream(store) as there:
        await there.tell("a", "b")
        there.server.kill()
        shutil.copytree(store, copy)
        there.server.start()
        async with reader(there, since=0) as events:
            await there.tell("c", "d", "e")
            assert await take(events, 5) == list("abcde")
            there.server.kill()
            damage(store, copy)
            there.server.start()
            while True:
                with contextlib.suppress(ShoalError):
                    await there.state.ensure(replicas=1)
                    break
                await asyncio.sleep(0.1)
            await there.tell(*(f"new{number}" for number in range(grown)))
            with pytest.raises(EventsGone, match="not the one that was read up to 5"):
                await take(events, 1)


async def test_without_a_stream_there_are_no_events(nats_url: str) -> None:
    """Where no orchestrator has ever been, the error says what makes the stream."""
    async with await connect(nats_url, name="reader") as bus:
        with pytest.raises(StoreUnavailable, match="when the first orchestrator starts"):
            await anext(Events(EventSource(StreamEvents(bus)), subjects.events()))
