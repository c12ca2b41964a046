"""Events as a program reads them: by their numbers in the stream, without a gap and without a repetition.

Refuses to know how the stream is kept. A reader asks for the events after the last one it has seen, when it is woken
and now and then; the server holds nothing for it, so that a slow reader is nobody's trouble but its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self
from weakref import WeakSet

from shoal import codec, subjects
from shoal.bus.protocol import Bounds, EventHistory, EventPage, Recorded, Subscription
from shoal.errors import EventsGone, NamespaceGone, TimedOut, Unavailable
from shoal.messages.events import EVENTS, Event, NamespaceRemoved

PAGE = 256
#: nobody need have woken us: the stream is looked at this often all the same
IDLE_S = 10.0
#: the stream is away: it is asked again after this
AWAY_S = 0.5
#: a replica does not show yet what we were woken for: it is asked again after this, doubled each time
LAG_S = (0.02, 1.0)

_TYPES = {cls.__name__: cls for cls in EVENTS}


def decode_event(body: bytes) -> Event:
    """An event from its JSON body, as the class that its field `event` names; an unknown one as `Event`."""
    known = codec.decode(body, Event)
    return codec.decode(body, _TYPES.get(known.event, Event))


class _Bell:
    """Rings for one reader when there is something to read."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        #: events that it rang for since they were last fetched, and the highest number that it ever rang for
        self.unread = 0
        self.woken_to = 0

    def ring(self, sequence: int) -> None:
        """An event was stored; 0: some may have been."""
        self.woken_to = max(self.woken_to, sequence)
        self.unread += sequence > 0
        self.rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until it rings; whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self.rung.wait()
        except TimeoutError:
            return False
        return True


class _Watch:
    """One subscription for all readers of a filter."""

    def __init__(self) -> None:
        self.readers: WeakSet[_Bell] = WeakSet()
        self.begin = asyncio.Lock()
        self.subscription: Subscription | None = None

    def stored(self, sequence: int) -> None:
        for bell in list(self.readers):
            bell.ring(sequence)


class EventSource:
    """The stream of events, shared by all readers of a client."""

    def __init__(self, history: EventHistory) -> None:
        self.history = history
        self._watches: dict[str, _Watch] = {}

    async def enlist(self, bell: _Bell, subjects_filter: str) -> None:
        """Ring from now on."""
        await self._sweep()
        watch = self._watches.setdefault(subjects_filter, _Watch())
        watch.readers.add(bell)
        async with watch.begin:
            if watch.subscription is None:
                watch.subscription = await self.history.watch(subjects_filter, watch.stored)

    async def leave(self, bell: _Bell, subjects_filter: str) -> None:
        """Ring no more."""
        if subjects_filter in self._watches:
            self._watches[subjects_filter].readers.discard(bell)
        await self._sweep()

    async def _sweep(self) -> None:
        """End subscriptions whose readers are gone, those too that were merely forgotten."""
        for subjects_filter, watch in list(self._watches.items()):
            if not watch.readers and watch.subscription is not None:
                del self._watches[subjects_filter]
                await watch.subscription.stop()


class Events:
    """Events, oldest first: `async for event in events`. Made by `events()` of a client, a namespace or a VM.

    It begins with the first step, or on entering it as a context (`async with ns.events() as events`): then what happens
    from there on is not missed. A step that is cancelled loses nothing. While the server or the stream is away, it
    waits; when they are back it goes on where it was.

    Raises EventsGone when events that were to come next are gone, or the stream has gone backwards: look at how things
    are, and go on with `since=0`. NamespaceGone after the last event of a namespace that was removed; one that is not
    there yet is waited for.
    """

    def __init__(
        self, source: EventSource, subjects_filter: str, *, since: int | None = None, namespace: str = ""
    ) -> None:
        self._source = source
        self._filter = subjects_filter
        self._namespace = namespace
        self._since = since
        self._position = since or 0
        self._begun = False
        self._step = asyncio.Lock()
        self._ready: deque[Recorded] = deque()
        self._removed = False
        # what is known of the stream
        self._identity = ""
        self._last = 0  # its last sequence, when it was asked
        self._seen = 0  # what was fetched, up to this
        self._covered = 0  # nothing of ours is missing up to this
        self._anchor: Recorded | None = None  # an event that must be there, as long as its number is
        self._oldest = False  # to begin with whatever is there
        # what is to come
        self._pending = 0
        self._bell = _Bell()
        self._lag_s = LAG_S[0]

    @property
    def position(self) -> int:
        """The sequence of the last event that was handed out; `since=position` goes on after it."""
        return self._position

    @property
    def behind(self) -> int:
        """About how many events there are that were not handed out yet: zero for who keeps up."""
        return len(self._ready) + self._pending + self._bell.unread

    async def __aenter__(self) -> Self:
        async with self._step:
            await self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        async with self._step:
            await self._begin()
            while not self._ready:
                await self._fill()
            following = self._ready.popleft()
            self._position = following.sequence
            event = decode_event(following.body)
            self._removed = isinstance(event, NamespaceRemoved) and event.namespace == self._namespace
            return event

    async def aclose(self) -> None:
        """Be woken no more. An iterator that is simply dropped needs no closing."""
        await self._source.leave(self._bell, self._filter)

    # --- the beginning -----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        if self._begun:
            return
        await self._source.enlist(self._bell, self._filter)
        bounds = await self._source.history.bounds()
        self._identity, self._last = bounds.identity, bounds.last
        if self._since is None:
            start = bounds.last
        elif self._since == 0:
            start, self._oldest = bounds.first - 1, True
        else:
            start = self._since
            if start > bounds.last or start + 1 < bounds.first:
                raise self._gone(start + 1, bounds)
        self._position = self._seen = self._covered = start
        page = await self._source.history.read(subjects.events(), start, limit=1)
        self._anchor = next((event for event in page.items if event.sequence == start), None)
        self._begun = True

    # --- going on ----------------------------------------------------------------------------------------

    async def _fill(self) -> None:
        """Fetch what there is; if there is nothing, wait until it is worth while to look again."""
        self._bell.rung.clear()
        try:
            page = await self._page()
        except (Unavailable, TimedOut):
            await self._bell.wait(AWAY_S)
            return
        self._pending, self._bell.unread = page.pending, 0
        if page.items:
            self._ready.extend(page.items)
            self._anchor = page.items[-1]
            self._seen = self._anchor.sequence
            self._covered = max(self._covered, self._seen)
            self._lag_s = LAG_S[0]
        elif self._removed:
            raise NamespaceGone(
                f"namespace `{self._namespace}` was removed: no events of it follow number {self._position}",
                namespace=self._namespace,
                position=self._position,
            )
        elif self._bell.woken_to > self._seen:
            await self._bell.wait(self._lag_s)
            self._lag_s = min(self._lag_s * 2, LAG_S[1])
        elif not await self._bell.wait(IDLE_S):
            await self._look()

    async def _look(self) -> None:
        """Note how far the stream is: after a full page, nothing of ours is missing up to there."""
        try:
            await self._verify()
        except (Unavailable, TimedOut):
            return

    async def _page(self) -> EventPage:
        """What follows; EventsGone if that cannot be told."""
        anchor, last = self._anchor, self._last
        ours = anchor is not None and anchor.sequence == self._seen and self._is_ours(anchor)
        # Reading our last event once more proves that it is the same stream, and that nothing was dropped since.
        page = await self._source.history.read(
            self._filter, self._seen + (0 if ours else 1), limit=PAGE + (1 if ours else 0)
        )
        if ours and page.items and page.items[0].sequence == self._seen:
            if anchor is not None and page.items[0].mark != anchor.mark:
                raise self._gone(self._seen + 1, await self._source.history.bounds())
            page.items.pop(0)
        else:
            await self._verify()
        self._oldest = False
        if not page.pending:
            # All that there was when the stream's last number was asked for is in this page, or was in one before.
            self._covered = max(self._covered, last)
        return page

    def _is_ours(self, event: Recorded) -> bool:
        return subjects.matches(event.subject, self._filter)

    async def _verify(self) -> None:
        """Check that the stream is the one that we know, and has what follows."""
        bounds = await self._source.history.bounds()
        if bounds.identity != self._identity or bounds.last < self._covered:
            raise self._gone(self._seen + 1, bounds)
        if bounds.first > self._covered + 1 and not self._oldest:
            raise self._gone(self._covered + 1, bounds)
        anchor = self._anchor
        if anchor is not None and anchor.sequence >= bounds.first:
            page = await self._source.history.read(subjects.events(), anchor.sequence, limit=1)
            if page.items and page.items[0].sequence == anchor.sequence and page.items[0].mark != anchor.mark:
                raise self._gone(self._seen + 1, bounds)
        self._last = bounds.last

    def _gone(self, asked: int, bounds: Bounds) -> EventsGone:
        if asked < bounds.first and (not self._begun or bounds.identity == self._identity):
            text = (
                f"events {asked} to {bounds.first - 1} are gone: the stream has {bounds.first} to {bounds.last}; "
                "look at how things are, and go on with since=0"
            )
        elif not self._begun:
            text = (
                f"no event {asked} can come next: the stream has {bounds.first} to {bounds.last}, and was perhaps made "
                "anew; look at how things are, and go on with since=0"
            )
        else:
            text = (
                f"the stream of events is not the one that was read up to {self._seen}: it went backwards or was made "
                f"anew, and has {bounds.first} to {bounds.last}; look at how things are, and go on with since=0"
            )
        return EventsGone(text, asked=asked, first=bounds.first, last=bounds.last)
