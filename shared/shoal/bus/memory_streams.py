"""The twin of `streams` in memory: what a JetStream server does with the state stream and the stream of events.

Refuses to know what records mean, and how messages travel. Refusals are those of the real server, as the tests of
`streams` have seen them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from shoal import subjects
from shoal.bus.memory_bus import MemoryBus, MemoryServer
from shoal.bus.memory_weather import SERVER
from shoal.bus.protocol import Conflicted, Event, Fenced, Message, Retention, Stored, Write
from shoal.errors import StoreUnavailable, TimedOut, Unavailable

READ_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 5.0
READ_BATCH = 1000
MAX_BATCH = 1000
#: how long a repeated id is known
DUPLICATES_S = 120.0
#: how far behind a replica may be
MAX_LAG_S = 5.0
#: events that are kept
MAX_EVENTS = 100_000

T = TypeVar("T")


class Copy(NamedTuple):
    """The state stream at some moment."""

    stored: dict[str, Stored]
    last: int


class MemoryStreams:
    """Both streams, as the server has them. What is stored is told to everyone who listens."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self.stored: dict[str, Stored] = {}
        #: the highest sequence that was given
        self.last = 0
        self.events: list[Stored] = []
        self._event_ids: dict[str, tuple[int, float]] = {}
        self._under: dict[str, dict[str, None]] = {}
        #: asked before each write; an error that it returns refuses the write
        self.refuse: Callable[[], Exception | None] = lambda: None
        #: asked before each reading of many, with the reader's name: how many seconds ago the replica that answers
        #: was up to date
        self.lag: Callable[[str], float] = lambda _: 0.0
        # what was there before each change of the last seconds: when, subject, then
        self._before: deque[tuple[float, str, Stored | None]] = deque()
        #: told of each batch and each single write, once it is stored
        self.watchers: list[Callable[[Sequence[Stored]], None]] = []

    # --- the state ---------------------------------------------------------------------------------------

    def get(self, subject: str) -> Stored | None:
        """What is stored under one subject."""
        return self.stored.get(subject)

    def page(self, filter_: str, sequence: int, reader: str = "") -> tuple[list[Stored], bool]:
        """The next thousand under a filter from a sequence on, and whether there are more."""
        items = self._matching(filter_)
        if lag_s := self.lag(reader):
            items = self._lagging(filter_, items, asyncio.get_running_loop().time() - lag_s)
        found = sorted((each for each in items if each.sequence >= sequence), key=lambda each: each.sequence)
        return found[:READ_BATCH], len(found) > READ_BATCH

    def _lagging(self, filter_: str, items: Iterable[Stored], moment: float) -> Iterable[Stored]:
        """What was there at an earlier moment, at most `MAX_LAG_S` ago."""
        held = {each.subject: each for each in items}
        for when, subject, before in reversed(self._before):
            if when <= moment:
                break
            if subject != filter_ and not (filter_.endswith(".>") and subject.startswith(filter_[:-1])):
                continue
            if before is None:
                held.pop(subject, None)
            else:
                held[subject] = before
        return held.values()

    def _remember(self, subject: str) -> None:
        now = asyncio.get_running_loop().time()
        self._before.append((now, subject, self.stored.get(subject)))
        while self._before[0][0] < now - MAX_LAG_S:
            self._before.popleft()

    def _matching(self, filter_: str) -> Iterable[Stored]:
        if not filter_.endswith(".>"):
            if filter_ in self.stored:
                yield self.stored[filter_]
            return
        for subject in self._under.get(filter_[:-2], ()):
            yield self.stored[subject]

    def put(self, write: Write) -> int:
        """Store one message."""
        self._check(write)
        if (error := self.refuse()) is not None:
            raise error
        return self._store([write])

    def commit(self, writes: Sequence[Write], fence: int) -> int:
        """Store all or nothing. An expectation that fails reads as the fence's: the real server does not say which."""
        held = self.stored.get(subjects.FENCE)
        if writes[0].expect is None and (held.sequence if held else 0) != fence:
            raise Fenced("wrong last sequence")
        for write in writes:
            if write.expect is not None and write.expect != self._sequence(write.subject):
                raise Fenced("wrong last sequence")
        if (error := self.refuse()) is not None:
            raise error
        return self._store(writes)

    def _sequence(self, subject: str) -> int:
        held = self.stored.get(subject)
        return held.sequence if held else 0

    def _check(self, write: Write) -> None:
        if write.expect is not None and write.expect != self._sequence(write.subject):
            fencing = write.subject in (subjects.LEASE, subjects.FENCE)
            raise (Fenced if fencing else Conflicted)("wrong last sequence")

    def _store(self, writes: Sequence[Write]) -> int:
        found = []
        for write in writes:
            self._remember(write.subject)
            self.last += 1
            stored = Stored(write.subject, self.last, write.body)
            if write.subject not in self.stored:
                self._index(write.subject)
            self.stored[write.subject] = stored
            found.append(stored)
        for watcher in self.watchers:
            watcher(found)
        for stored in found:
            headers = {"Nats-Sequence": str(stored.sequence)}
            self._server.deliver(SERVER, Message(subjects.stored(stored.subject), stored.body, "", headers))
        return self.last

    def _index(self, subject: str) -> None:
        head = subject
        while head := head.rpartition(".")[0]:
            self._under.setdefault(head, {})[subject] = None

    def purge(self, subject: str, below: int) -> None:
        """Remove what is older than a sequence."""
        held = self.stored.get(subject)
        if held is None or held.sequence >= below:
            return
        self._remember(subject)
        del self.stored[subject]
        head = subject
        while head := head.rpartition(".")[0]:
            del self._under[head][subject]

    def copy(self) -> Copy:
        """The state stream now, for `go_back`."""
        return Copy(dict(self.stored), self.last)

    def go_back(self, copy: Copy) -> None:
        """Have an older copy instead, as after a disk was restored. Sequences are given again."""
        self.stored, self.last = dict(copy.stored), copy.last
        self._before.clear()
        self._under = {}
        for subject in self.stored:
            self._index(subject)

    # --- events ------------------------------------------------------------------------------------------

    def publish_event(self, event: Event) -> int:
        """Store an event, unless one with its id came in the last two minutes."""
        now = asyncio.get_running_loop().time()
        known = self._event_ids.get(event.id)
        if known is not None and now - known[1] < DUPLICATES_S:
            return known[0]
        if (error := self.refuse()) is not None:
            raise error
        sequence = self.events[-1].sequence + 1 if self.events else 1
        self.events.append(Stored(event.subject, sequence, event.body))
        del self.events[:-MAX_EVENTS]
        self._event_ids[event.id] = (sequence, now)
        self._server.deliver(SERVER, Message(event.subject, event.body))
        return sequence

    def last_events(self, filter_: str) -> list[Stored]:
        """The last event of each subject under a filter that ends in `>`, oldest first."""
        head = filter_.removesuffix(">")
        last = {event.subject: event for event in self.events if event.subject.startswith(head)}
        return sorted(last.values(), key=lambda stored: stored.sequence)


class MemoryState:
    """`shoal.bus.protocol.StateStream` over a connection in memory."""

    def __init__(self, bus: MemoryBus, streams: MemoryStreams) -> None:
        self._bus = bus
        self._streams = streams

    async def ensure(self, *, replicas: int, events: Retention | None = None) -> None:
        """The streams are there; whether the server is, this tells."""
        del replicas, events
        await self._get("$JS.API.STREAM.CREATE", lambda: None)

    async def read(self, filter_: str) -> list[Stored]:
        """Everything under a filter, oldest first, in pages of a thousand."""
        found: list[Stored] = []
        sequence = 1
        while True:

            def page(start: int = sequence) -> tuple[list[Stored], bool]:
                return self._streams.page(filter_, start, self._bus.name)

            items, more = await self._bus.ask("$JS.API.DIRECT.GET", page, READ_TIMEOUT_S)
            found.extend(items)
            if not more:
                return found
            sequence = items[-1].sequence + 1

    async def get(self, subject: str) -> Stored | None:
        """The message stored under one subject."""
        return await self._get("$JS.API.STREAM.MSG.GET", lambda: self._streams.get(subject))

    async def _get(self, subject: str, act: Callable[[], T]) -> T:
        try:
            return await self._bus.ask(subject, act, WRITE_TIMEOUT_S)
        except TimedOut as error:
            raise StoreUnavailable(f"cannot read from the store: {error.message}") from error

    async def put(self, write: Write) -> int:
        """Store one message."""
        return await self._write("$JS.PUT", lambda: self._streams.put(write))

    async def commit(self, writes: Sequence[Write], *, fence: int) -> int:
        """Store all or nothing."""
        if not 1 <= len(writes) <= MAX_BATCH:
            raise ValueError(f"a batch holds 1 to {MAX_BATCH} messages, not {len(writes)}")
        return await self._write("$JS.COMMIT", lambda: self._streams.commit(writes, fence))

    async def purge(self, subject: str, *, below: int) -> None:
        """Remove what is stored under `subject` if its sequence is less than `below`."""
        await self._write("$JS.PURGE", lambda: self._streams.purge(subject, below))

    async def publish_events(self, events: Sequence[Event]) -> int:
        """Store events, one after the other: any of them may be the last before an error."""
        last = 0
        for event in events:
            last = await self._write("$JS.EVENT", lambda event=event: self._streams.publish_event(event))  # type: ignore[misc]
        return last

    async def last_events(self, filter_: str) -> AsyncGenerator[Stored, None]:
        """The last event of each subject under a filter, oldest first."""
        for stored in await self._get("$JS.API.CONSUMER", lambda: self._streams.last_events(filter_)):
            yield stored

    async def _write(self, subject: str, act: Callable[[], T]) -> T:
        try:
            return await self._bus.ask(subject, act, WRITE_TIMEOUT_S)
        except (TimedOut, StoreUnavailable):
            raise
        except Unavailable as error:
            raise StoreUnavailable(f"the store did not take `{subject}`: {error.message}") from error
