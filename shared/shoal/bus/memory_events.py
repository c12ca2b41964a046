"""The stream of events in memory: the twin of `event_history.StreamEvents`, for tests and simulations.

Refuses to know NATS. It can do what a real stream does to its readers: lose its oldest events, lag, go backwards,
be made anew, be away, and forget to wake somebody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from shoal.bus.protocol import Bounds, EventPage, Recorded, Subscription
from shoal.errors import Unavailable
from shoal.subjects import matches

Watcher = Callable[[int], None]


class _Watch:
    def __init__(self, watches: dict[int, tuple[str, Watcher]], key: int) -> None:
        self._watches = watches
        self._key = key

    async def stop(self) -> None:
        self._watches.pop(self._key, None)


class MemoryEvents:
    """`shoal.bus.protocol.EventHistory` in memory. `store` adds events."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.first = 1
        self.last = 0
        self.identity = "1"
        #: the newest events that `read` does not show yet, as a replica that lags
        self.lag = 0
        #: nothing can be asked
        self.away = False
        #: nobody is woken
        self.blind = False
        self.watches: dict[int, tuple[str, Watcher]] = {}
        self._keys: Iterator[int] = count()
        self._marks: Iterator[int] = count()

    def store(self, subject: str, body: bytes) -> int:
        """Add an event and wake those who watch; its sequence."""
        self.last += 1
        self.events.append(Recorded(subject, self.last, body, str(next(self._marks))))
        if not self.blind:
            for subjects, watcher in list(self.watches.values()):
                if matches(subject, subjects):
                    watcher(self.last)
        return self.last

    def expire(self, below: int) -> None:
        """Lose the events whose sequence is less than `below`."""
        self.first = max(self.first, min(below, self.last + 1))
        self.events = [event for event in self.events if event.sequence >= self.first]

    def go_back(self, last: int) -> None:
        """Lose the events after `last`, as a restored older copy of the store has: their numbers come again."""
        self.last = last
        self.events = [event for event in self.events if event.sequence <= last]

    def make_anew(self) -> None:
        """Lose everything, as with an emptied store."""
        self.events, self.first, self.last, self.identity = [], 1, 0, self.identity + "'"

    def reconnect(self) -> None:
        """Tell those who watch that they may have missed something."""
        for _, watcher in list(self.watches.values()):
            watcher(0)

    def _present(self) -> None:
        if self.away:
            raise Unavailable("cannot read events: the stream is away")

    async def bounds(self) -> Bounds:
        """What there is."""
        self._present()
        return Bounds(self.first, self.last, self.identity)

    async def read(self, subjects: str, sequence: int, *, limit: int) -> EventPage:
        """A page of what there is, but for what lags."""
        self._present()
        shown = [
            event
            for event in self.events
            if sequence <= event.sequence <= self.last - self.lag and matches(event.subject, subjects)
        ]
        return EventPage(shown[:limit], max(0, len(shown) - limit))

    async def watch(self, subjects: str, stored: Watcher) -> Subscription:
        """Wake somebody with each event."""
        key = next(self._keys)
        self.watches[key] = (subjects, stored)
        return _Watch(self.watches, key)
