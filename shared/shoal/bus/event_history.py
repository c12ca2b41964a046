"""Reading the stream of events by batched direct get (ADR-31), woken by what the stream republishes (ADR-28).

Refuses to know what events mean and who has read how far. There is no consumer: nats-server lets a stream have a
thousand, and one that waits beyond the end of a stream that went backwards waits for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from shoal import subjects
from shoal.bus.protocol import Bounds, Bus, EventPage, Message, Recorded, Subscription
from shoal.errors import StoreUnavailable

TIMEOUT_S = 5.0
#: what a page may weigh
PAGE_BYTES = 512 * 1024
_INFO = f"$JS.API.STREAM.INFO.{subjects.EVENT_STREAM}"
_GET = f"$JS.API.DIRECT.GET.{subjects.EVENT_STREAM}"


class StreamEvents:
    """`shoal.bus.protocol.EventHistory` over any bus behind which JetStream is."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def bounds(self) -> Bounds:
        """Ask the stream's leader what it has."""
        answer = await self._bus.request(_INFO, b"", timeout_s=TIMEOUT_S)
        said: dict[str, Any] = json.loads(answer.body)
        if "error" in said:
            raise StoreUnavailable(
                f"cannot read events: {said['error'].get('description', 'no reason given')}; "
                "the stream is made when the first orchestrator starts"
            )
        state = said["state"]
        return Bounds(int(state["first_seq"]), int(state["last_seq"]), str(said["created"]))

    async def read(self, subjects_filter: str, sequence: int, *, limit: int) -> EventPage:
        """One batch."""
        request = {
            "seq": max(1, sequence),
            "batch": limit,
            "max_bytes": PAGE_BYTES,
            "next_by_subj": subjects_filter,
        }
        found: list[Recorded] = []
        async with self._bus.answers(_GET, json.dumps(request).encode(), silence_s=TIMEOUT_S) as answers:
            async for message in answers:
                status = message.headers.get("Status")
                if status == "404":
                    return EventPage(found, 0)
                if status == "204":
                    return EventPage(found, int(message.headers.get("Nats-Num-Pending", "0")))
                if status:
                    raise StoreUnavailable(
                        f"cannot read events: {message.headers.get('Description', status)}"
                    )
                found.append(_recorded(message))
        raise StoreUnavailable("cannot read events: the answer broke off")

    async def watch(self, subjects_filter: str, stored: Callable[[int], None]) -> Subscription:
        """Listen to what the stream republishes; headers are enough."""

        def heard(message: Message) -> None:
            stored(int(message.headers.get("Nats-Sequence", "0")))

        self._bus.on_reconnect(lambda: stored(0))
        subscription = await self._bus.subscribe(subjects.stored(subjects_filter), heard)
        await self._bus.settle()
        return subscription


def _recorded(message: Message) -> Recorded:
    """The mark is when it was stored, to the nanosecond, by the server's clock."""
    told = message.headers
    return Recorded(
        told["Nats-Subject"], int(told["Nats-Sequence"]), message.body, told.get("Nats-Time-Stamp", "")
    )
