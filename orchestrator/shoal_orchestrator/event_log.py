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
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.store import Store

LOG = structlog.get_logger("shoal.events")
IN_FLIGHT = 64
RETRY_S = 1.0
#: events that wait while the stream is away; beyond that the oldest are dropped, and that is logged
MAX_WAITING = 100_000


class EventLog:
    """The way to the stream of events. `run` sends what `publish` took."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store
        self._ids = ids
        self._waiting: deque[Event] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()

    def publish(self, events: Iterable[Event]) -> None:
        """Send these events, in this order."""
        for event in events:
            self._waiting.append(
                msgspec.structs.replace(
                    event,
                    event=type(event).__name__,
                    at=event.at or now_text(),
                    id=event.id or token(self._ids),
                )
            )
        self._wake.set()

    async def run(self) -> None:
        """Send events, up to 64 at a time; those of one object never overtake each other."""
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            group: list[Event] = []
            objects: set[tuple[str, str, str]] = set()
            while self._waiting and len(group) < IN_FLIGHT:
                following = self._waiting[0]
                key = (following.namespace, following.noun, following.name)
                if key in objects:
                    break
                objects.add(key)
                group.append(self._waiting.popleft())
            await asyncio.gather(*(self._send(event) for event in group))

    async def _send(self, event: Event) -> None:
        subject = subjects.event(event.namespace, event.noun, event.what, event.name)
        message = protocol.Event(subject, codec.encode(event, "json"), event.id)
        while True:
            try:
                await self._store.publish(message)
            except ShoalError as error:
                LOG.warning("event-tried-again", subject=subject, error=error.message)
                await asyncio.sleep(RETRY_S)
            else:
                return
