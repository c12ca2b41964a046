"""Keeps a host's desired state as the stream has it: listens to what is stored, and reads everything again.

Refuses to know what records mean, but for which segments they name. Messages may be lost and absence is not
announced, so listening alone is never trusted: all is read at the start, after a reconnect, when the leader's
acknowledgement shows a difference, and every half minute.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message, StateStream, Stored, Subscription
from shoal.errors import InvalidRequest, ShoalError
from shoal.messages.desired import Desired, LaunchRecord, SegmentRecord, TapRecord
from shoal_worker.core.desired import DesiredState

REREAD_S = 30.0
#: between two readings that a difference asks for; doubled while they change nothing
REREAD_PAUSE_S = 0.5
REREAD_PAUSE_MAX_S = 8.0
RETRY_MAX_S = 5.0
#: from so many segments on, all of the cluster's are read at once
MANY_SEGMENTS = 64
_AT_ONCE = 8
_SEQUENCE = "Nats-Sequence"
_KINDS: dict[str, type[LaunchRecord | TapRecord | SegmentRecord]] = {
    "launch": LaunchRecord,
    "tap": TapRecord,
    "tunnel": SegmentRecord,
}


class StateReader:
    """Feeds a DesiredState. `changed` is called after each change; `done` tells whether what a tombstone asks for was done.

    `gate` bounds how many readers of one process read at once.
    """

    def __init__(
        self,
        bus: Bus,
        stream: StateStream,
        desired: DesiredState,
        *,
        changed: Callable[[], None],
        done: Callable[[Desired], bool],
        gate: Callable[[], AbstractAsyncContextManager[object]],
        rng: random.Random,
        log: Any,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._desired = desired
        self._changed = changed
        self._done = done
        self._gate = gate
        self._rng = rng
        self._log = log
        self._tunnels: dict[int, Subscription] = {}
        self._subscribing = asyncio.Lock()
        self._asked = asyncio.Event()
        self._new_segments = asyncio.Event()
        self._pause_s = REREAD_PAUSE_S
        self._store = ""
        self._poison: set[tuple[str, int]] = set()
        #: set once everything was read for the first time
        self.complete = asyncio.Event()

    @property
    def poison(self) -> int:
        """How many stored messages could not be read."""
        return len(self._poison)

    def ask(self) -> None:
        """Read everything again soon."""
        self._asked.set()

    def compare(self, store: str, stored: int, sequence: int) -> None:
        """Ask if the leader's acknowledgement differs from what is held. Another store numbers anew."""
        if store != self._store:
            if self._store:
                self._log.warning("store-replaced", before=self._store, now=store)
                self._desired.forget_sequences()
                self.ask()
            self._store = store
        if self.complete.is_set() and self._desired.counted() != (stored, sequence):
            self.ask()

    async def subscribe(self) -> None:
        """Listen to our launches and taps; in force once the bus has settled."""
        for filter_ in subjects.host_filters(self._desired.host):
            await self._bus.subscribe(subjects.stored(filter_), self._on_stored)
        self._bus.on_reconnect(self.ask)

    async def run(self) -> None:
        """Read, and read again, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reading())
            group.create_task(self._follow_segments())

    # --- what is stored while we listen ------------------------------------------------------------------

    def _on_stored(self, message: Message) -> None:
        sequence = message.headers.get(_SEQUENCE, "")
        if not sequence.isdecimal():
            self._log.warning("record-without-sequence", subject=message.subject)
            return
        if self._merge(Stored(subjects.unstored(message.subject), int(sequence), message.body)):
            self._changed()

    def _merge(self, stored: Stored) -> bool:
        if not stored.body:
            return self._desired.erase(stored.subject, stored.sequence, self._done)
        if self._desired.knows(stored.subject, stored.sequence):
            # A segment's record names up to a thousand hosts, and all is read again every half minute.
            return False
        record = self._decode(stored)
        if record is None:
            return False
        verdict = self._desired.merge(stored.subject, stored.sequence, record)
        if verdict == "older":
            self._log.warning("older-record-refused", subject=stored.subject, revision=record.revision)
        if verdict == "taken" and self._desired.watched_vnis() != self._tunnels.keys():
            self._new_segments.set()
        return verdict == "taken"

    def _decode(self, stored: Stored) -> Desired | None:
        """The record in a message that belongs where it is stored; anything else is set aside."""
        try:
            kind = _KINDS.get(subjects.parse_record(stored.subject).kind)
            if kind is None:
                raise InvalidRequest("no such kind of record")
            record = codec.decode(stored.body, kind)
            if _subject_of(record) != stored.subject:
                raise InvalidRequest(f"it holds the record of {_subject_of(record)}")
        except (ShoalError, ValueError) as error:
            if (stored.subject, stored.sequence) not in self._poison:
                self._poison.add((stored.subject, stored.sequence))
                self._log.error(
                    "record-set-aside",
                    subject=stored.subject,
                    sequence=stored.sequence,
                    size=len(stored.body),
                    error=str(error),
                )
            return None
        return record

    # --- reading all -------------------------------------------------------------------------------------

    async def _keep_reading(self) -> None:
        wait_s = 0.0
        failing = False
        while True:
            try:
                async with asyncio.timeout(wait_s):
                    await self._asked.wait()
                    # A difference may come from a message that is still on its way; and after a reconnect
                    # a thousand workers ask.
                    await asyncio.sleep(self._pause_s * self._rng.uniform(0.5, 1.5))
            except TimeoutError:
                pass
            self._asked.clear()
            try:
                async with self._gate():
                    news = await self._read_all()
            except ShoalError as error:
                if not failing:
                    self._log.warning("reading-failed", error=error.message)
                failing = True
                wait_s = min(RETRY_MAX_S, max(0.5, 2 * wait_s)) * self._rng.uniform(0.8, 1.2)
                continue
            if failing:
                self._log.info("reading-works-again")
            failing = False
            wait_s = REREAD_S * self._rng.uniform(0.8, 1.2)
            self._pause_s = REREAD_PAUSE_S if news else min(REREAD_PAUSE_MAX_S, 2 * self._pause_s)
            if not self.complete.is_set() or news:
                self.complete.set()
                self._changed()

    async def _read_all(self) -> bool:
        """Read and merge everything that concerns us; whether anything was new."""
        version, before = self._desired.version, self._desired.sequences()
        present: set[str] = set()
        await self._bus.settle()
        for filter_ in subjects.host_filters(self._desired.host):
            present.update(self._take(await self._stream.read(filter_)))
        await self._subscribe_segments()
        present.update(await self._read_segments(self._desired.watched_vnis()))
        self._desired.prune(present, before, self._done)
        return self._desired.version != version

    def _take(self, found: Iterable[Stored]) -> list[str]:
        taken = []
        for stored in found:
            self._merge(stored)
            if stored.body:
                taken.append(stored.subject)
        return taken

    # --- segments ----------------------------------------------------------------------------------------

    async def _follow_segments(self) -> None:
        """Listen to, and read, the segments that newly arrived records name."""
        while True:
            await self._new_segments.wait()
            self._new_segments.clear()
            try:
                new = await self._subscribe_segments()
                if new:
                    version = self._desired.version
                    await self._read_segments(new)
                    if self._desired.version != version:
                        self._changed()
            except ShoalError as error:
                self._log.warning("reading-segments-failed", error=error.message)
                self.ask()

    async def _subscribe_segments(self) -> frozenset[int]:
        """Listen to exactly the segments that concern us; the new ones, once their subscriptions are in force."""
        async with self._subscribing:
            watched = self._desired.watched_vnis()
            new = watched - self._tunnels.keys()
            for vni in new:
                subject = subjects.stored(subjects.tunnel(vni))
                self._tunnels[vni] = await self._bus.subscribe(subject, self._on_stored)
            for vni in self._tunnels.keys() - watched:
                await self._tunnels.pop(vni).stop()
        if new:
            await self._bus.settle()
        return new

    async def _read_segments(self, vnis: frozenset[int]) -> list[str]:
        if len(vnis) > MANY_SEGMENTS:
            everything = await self._stream.read(subjects.ALL_TUNNELS)
            ours = {subjects.tunnel(vni) for vni in vnis}
            return self._take(stored for stored in everything if stored.subject in ours)
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def read(vni: int) -> list[Stored]:
            async with at_once:
                return await self._stream.read(subjects.tunnel(vni))

        found = await asyncio.gather(*(read(vni) for vni in sorted(vnis)))
        return self._take(stored for each in found for stored in each)


def _subject_of(record: Desired) -> str:
    """Where a record belongs."""
    if isinstance(record, LaunchRecord):
        return subjects.launch(record.host, record.namespace, record.name)
    if isinstance(record, TapRecord):
        return subjects.tap(record.host, record.namespace, record.tap)
    return subjects.tunnel(record.vni)
