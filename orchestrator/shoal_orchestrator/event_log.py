"""Publishing events: after the change that they tell of, in order, each until the stream has it.

Refuses to know what events mean.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import msgspec
import structlog

from shoal import codec, subjects
from shoal.bus import protocol
from shoal.core.ids import Ids, token
from shoal.errors import ShoalError
from shoal.messages.events import Event
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_orchestrator import measures
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core.told import Told
from shoal_orchestrator.store import Store

LOG = structlog.get_logger("shoal.events")
#: events that are sent together: two acknowledgements for all of them
TOGETHER = 500
RETRY_S = 1.0
#: events that wait while the stream is away; beyond that the oldest are dropped, and that is counted
MAX_WAITING = 100_000
#: events that are kept to be shown
RECENT = 50


class EventLog:
    """The way to the stream of events. `run` sends what `publish` took."""

    def __init__(self, store: Store, ids: Ids, metrics: Metrics = NOBODY) -> None:
        self._store = store
        self._ids = ids
        self._waiting: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._metrics = metrics
        self._dropped = asyncio.Event()
        #: the last event of each object
        self.told = Told(frozenset(store.model.instances))
        #: the last events of this term, the newest last
        self.recent: deque[Event] = deque(maxlen=RECENT)
        #: how many there were in this term
        self.count = 0

    @property
    def waiting(self) -> int:
        """How many events wait to be sent."""
        return len(self._waiting)

    def publish(self, events: Iterable[Event]) -> None:
        """Send these events, in this order."""
        for event in events:
            told = msgspec.structs.replace(
                event,
                event=type(event).__name__,
                at=event.at or now_text(),
                id=self._id(event),
                epoch=self._store.fence.epoch,
            )
            if len(self._waiting) >= MAX_WAITING:
                self._drop(self._waiting.popleft())
            self.told.take(told)
            self._waiting.append(told)
            self.recent.append(told)
            self.count += 1
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    def _id(self, event: Event) -> str:
        """The server stores an id once: what a VM did again without having been asked to needs another one."""
        if not event.id:
            return token(self._ids)
        return f"{event.id}-{token(self._ids)}" if self.told.again(event) else event.id

    def _drop(self, event: Event) -> None:
        """What it told is found to be missing once the rest is sent."""
        self._metrics.count(measures.DROPPED_EVENTS)
        if not self._dropped.is_set():
            LOG.warning("events-dropped", waiting=len(self._waiting))
        self.told.lose(event)
        self._dropped.set()

    def look_again(self) -> None:
        """What objects are has changed without events: those that are missing are found as if they had been dropped."""
        self._dropped.set()

    async def dropped(self) -> None:
        """Wait until events were dropped, and the rest was sent."""
        await self._dropped.wait()
        await self.sent()
        self._dropped.clear()

    async def sent(self) -> None:
        """Wait until the stream has everything that was published so far."""
        await self._idle.wait()

    async def run(self) -> None:
        """Send events, many at a time; those of one object never overtake each other, and so are never sent together."""
        while True:
            if not self._waiting:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            group: list[Event] = []
            objects: set[tuple[str, str, str]] = set()
            while self._waiting and len(group) < TOGETHER:
                following = self._waiting[0]
                key = (following.namespace, following.noun, following.name)
                if key in objects:
                    break
                objects.add(key)
                group.append(self._waiting.popleft())
            await self._send([_message(event) for event in group])

    async def _send(self, messages: list[protocol.Event]) -> None:
        while True:
            try:
                await self._store.publish(messages)
            except ShoalError as error:
                LOG.warning("events-tried-again", events=len(messages), error=error.message)
                await asyncio.sleep(RETRY_S)
            else:
                self._metrics.count(measures.EVENTS, by=len(messages))
                return


def _message(event: Event) -> protocol.Event:
    subject = subjects.event(event.namespace, event.noun, event.what, event.name)
    return protocol.Event(subject, codec.encode(event, "json"), event.id)
