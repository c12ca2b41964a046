"""Tells the leader what has changed on the host, and on request everything.

Refuses to know where statuses come from. Changes are gathered for a moment and sent as numbered reports; a status
that did not change is not sent again. A lost report shows as a gap, and the leader asks for the inventory.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

import msgspec

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message
from shoal.errors import InvalidRequest, ShoalError
from shoal.messages.desired import (
    Inventory,
    InventoryRequest,
    Report,
    SegmentStatus,
    TapStatus,
    VMStatus,
)
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_worker.core.statuses import Statuses
from shoal_worker.measures import REPORTS

GATHER_S = 0.05
#: how many statuses a report or a page of the inventory holds at most: well under the server's limit of 1 MiB
MAX_ITEMS = 1000

Status = VMStatus | TapStatus | SegmentStatus
K = TypeVar("K")
S = TypeVar("S", VMStatus, TapStatus, SegmentStatus)


class Reporter:
    """What was last said of each VM, tap and segment of a host, and what is still to be said."""

    def __init__(self, bus: Bus, host: str, session: str, log: Any, metrics: Metrics = NOBODY) -> None:
        self._bus = bus
        self._host = host
        self._session = session
        self._log = log
        self._metrics = metrics
        self._vms: dict[str, VMStatus] = {}
        self._taps: dict[tuple[str, str], TapStatus] = {}
        self._segments: dict[int, SegmentStatus] = {}
        self._unsaid: dict[tuple[str, object], Status] = {}
        self._dirty = asyncio.Event()
        self._questions: asyncio.Queue[Message] = asyncio.Queue()
        #: how many VMs there are in each state
        self.vm_states: Counter[str] = Counter()
        #: the number of the last report
        self.number = 0
        #: how many captures wait to be collected; every report says it
        self.ended_captures: Callable[[], int] = lambda: 0

    def update(self, statuses: Statuses, *, busy: Collection[str] = ()) -> None:
        """Take in how everything is now. What was last said of `busy` instances stands until they are done."""
        kept = {instance: self._vms[instance] for instance in busy if instance in self._vms}
        self._vms = self._changed("vm", self._vms, {**statuses.vms, **kept})
        self._taps = self._changed("tap", self._taps, statuses.taps)
        self._segments = self._changed("segment", self._segments, statuses.segments)
        self.vm_states = Counter(status.state for status in self._vms.values())
        if self._unsaid:
            self._dirty.set()

    def _changed(self, kind: str, before: Mapping[K, S], now: dict[K, S]) -> dict[K, S]:
        for key, status in now.items():
            said = before.get(key)
            if said is None or not _same(said, status):
                self._unsaid[kind, key] = status
        return now

    def segment(self, vni: int) -> SegmentStatus | None:
        """What is said of a segment."""
        return self._segments.get(vni)

    async def subscribe(self) -> None:
        """Listen to questions; they are answered once `run` runs."""
        await self._bus.subscribe(subjects.host_request(self._host, "inventory"), self._questions.put_nowait)

    async def run(self) -> None:
        """Send reports and answer questions, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._answer())
            group.create_task(self._report())

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(GATHER_S)
            await self.send()

    async def send(self) -> None:
        """Send what has changed now, without waiting for more."""
        self._dirty.clear()
        while self._unsaid:
            keys = list(self._unsaid)[:MAX_ITEMS]
            batch = [self._unsaid.pop(key) for key in keys]
            self.number += 1
            report = Report(
                host=self._host,
                session=self._session,
                number=self.number,
                vms=tuple(status for status in batch if isinstance(status, VMStatus)),
                taps=tuple(status for status in batch if isinstance(status, TapStatus)),
                segments=tuple(status for status in batch if isinstance(status, SegmentStatus)),
                ended_captures=self.ended_captures(),
            )
            try:
                await self._bus.publish(subjects.report(self._host), codec.encode(report))
                self._metrics.count(REPORTS, "sent")
            except ShoalError as error:
                self._metrics.count(REPORTS, "lost")
                # The number is spent: the leader sees the gap and asks for everything.
                self._log.warning("report-lost", number=self.number, error=error.message)

    async def _answer(self) -> None:
        while True:
            message = await self._questions.get()
            if not subjects.is_inbox(message.reply):
                continue
            headers = None
            encoding: codec.Encoding = "json"
            try:
                encoding = codec.encoding_of(message.body)
                body = codec.encode(self.inventory(_question(message.body, encoding)), encoding)
            except InvalidRequest as error:
                body = codec.encode(codec.failure_of(error), encoding)
                headers = codec.error_headers(error)
            try:
                await self._bus.publish(message.reply, body, headers=headers)
            except ShoalError as error:
                self._log.warning("answer-lost", error=error.message)

    def inventory(self, request: InventoryRequest) -> Inventory:
        """A page of everything: VMs, then taps, then segments."""
        after, limit = max(0, request.after), max(1, min(request.limit, MAX_ITEMS))
        everything: list[Status] = [
            *(self._vms[key] for key in sorted(self._vms)),
            *(self._taps[key] for key in sorted(self._taps)),
            *(self._segments[key] for key in sorted(self._segments)),
        ]
        page = everything[after : after + limit]
        return Inventory(
            host=self._host,
            session=self._session,
            number=self.number,
            vms=tuple(status for status in page if isinstance(status, VMStatus)),
            taps=tuple(status for status in page if isinstance(status, TapStatus)),
            segments=tuple(status for status in page if isinstance(status, SegmentStatus)),
            next=after + limit if after + limit < len(everything) else 0,
        )


def _question(body: bytes, encoding: codec.Encoding) -> InventoryRequest:
    if encoding == "bare":
        return InventoryRequest()
    return codec.decode(body, InventoryRequest, limit=codec.MAX_COMMAND_BYTES)


def _same(one: S, other: S) -> bool:
    """Whether nothing but the time that went by differs."""
    if isinstance(one, VMStatus) and isinstance(other, VMStatus):
        # Whoever has heard when a VM was resumed can count on.
        return msgspec.structs.replace(one, uptime_s=other.uptime_s) == other
    return one == other
