"""The leader's state: the model in memory and the stream behind it, always changed together and fenced.

Refuses to know what records mean. A change is applied to the model at once, so that the next decision sees it,
and goes into the next atomic batch; nobody is answered before the batch is stored. When it cannot be stored the
term ends: the model is thrown away and loaded again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

import msgspec
import structlog

from shoal import codec, subjects
from shoal.bus.protocol import Conflicted, Event, Fenced, StateStream, Stored, Write
from shoal.core.ids import Ids, token
from shoal.errors import InvalidRequest, Refused, ShoalError, StoreUnavailable, TimedOut
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal_orchestrator.core import records
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model

LOG = structlog.get_logger("shoal.store")
#: records in one batch, beside the lease (the server takes 1,000 messages)
SLICE = 900
#: a message with its headers may have 1 MiB
MAX_RECORD_BYTES = 1000 * 1024
LEASE_INTERVAL_S = 5.0
RETRY_S = 0.5
#: how long a batch is tried before the term ends
GIVE_UP_S = 15.0

_KINDS: dict[str, type[msgspec.Struct]] = {
    "launch": LaunchRecord,
    "tap": TapRecord,
    "tunnel": SegmentRecord,
    "cluster": records.ClusterRecord,
    "namespace": records.NamespaceRecord,
    "config": records.SavedConfig,
    "file": records.FileRecord,
    "queue": records.QueueEntry,
    "host": records.HostRecord,
    "request": records.RequestRecord,
}


class FenceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who leads: the store's id, a counter of terms, and a nonce of the leader."""

    store: str
    epoch: int
    nonce: str


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The leader's pulse: first message of every batch."""

    epoch: int
    counter: int
    nonce: str


class Deposed(Exception):
    """Another orchestrator took the fence: this one has nothing to say any more."""


class _Waiting(NamedTuple):
    writes: list[Write]
    stored: asyncio.Future[None]
    deleted: list[str]


def record_kind(subject: str) -> type[msgspec.Struct] | None:
    """The type of what is stored under a subject; None for kinds that this version does not know."""
    kind, names = subjects.parse_record(subject)
    if kind == "plan" and len(names) == 3:
        return records.PlanRecord if names[2] == "0" else records.PlanChunk
    return _KINDS.get(kind)


def _write(subject: str, record: msgspec.Struct | None) -> Write:
    """A record as it is stored; None is an empty body. Refused when it is too large: its batch would end the term."""
    if record is None:
        return Write(subject, b"")
    shared = isinstance(record, (LaunchRecord, SegmentRecord, TapRecord))
    body = codec.encode(record, "msgpack" if shared else "json")
    if len(body) > MAX_RECORD_BYTES:
        raise Refused(
            f"cannot store `{subject}`: it has {len(body)} bytes, and at most {MAX_RECORD_BYTES} are stored; "
            "do it in smaller parts"
        )
    return Write(subject, body)


class Store:
    """One term of leadership over the state stream. Use: `take_over`, then `run` and `bury` beside who commits."""

    def __init__(self, stream: StateStream, ids: Ids) -> None:
        self._stream = stream
        self._nonce = token(ids)
        self._ids = ids
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._buried: deque[str] = deque()
        self._dug = asyncio.Event()
        self._counter = 0
        self._fence_sequence = 0
        self.model = Model()
        self.fence = FenceRecord(store="", epoch=0, nonce="")
        #: subjects of hosts (launch, tap, tunnel) whose stored sequence changed: the heartbeat's answer tells
        self.unsettled: set[str] = set()

    async def take_over(self) -> None:
        """Write the fence by compare-and-set, then load every record. Deposed when another was faster."""
        found = await self._stream.get(subjects.FENCE)
        old = codec.decode(found.body, FenceRecord) if found else None
        self.fence = FenceRecord(
            store=old.store if old else token(self._ids),
            epoch=(old.epoch if old else 0) + 1,
            nonce=self._nonce,
        )
        body = codec.encode(self.fence, "json")
        try:
            self._fence_sequence = await self._stream.put(
                Write(subjects.FENCE, body, expect=found.sequence if found else 0)
            )
        except (Fenced, Conflicted, TimedOut):
            # A time-out may have happened: only what is stored decides.
            now = await self._stream.get(subjects.FENCE)
            if now is None or now.body != body:
                raise Deposed("another orchestrator took the fence first") from None
            self._fence_sequence = now.sequence
        await self._load()

    async def _load(self) -> None:
        buried = []
        for filter_ in subjects.RECORD_FILTERS:
            for stored in await self._stream.read(filter_):
                if not stored.body:
                    buried.append(stored)
                    continue
                self._load_one(stored)
        for stored in buried:
            await self._stream.purge(stored.subject, below=stored.sequence + 1)
        LOG.info("state-loaded", records=len(self.model.records), epoch=self.fence.epoch)

    def _load_one(self, stored: Stored) -> None:
        kind = record_kind(stored.subject)
        if kind is None:
            LOG.warning("record-of-unknown-kind-kept", subject=stored.subject)
            return
        try:
            record = codec.decode(stored.body, kind)
        except InvalidRequest as error:
            LOG.error("record-unreadable-kept", subject=stored.subject, error=error.message)  # noqa: TRY400
            return
        self.model.apply(stored.subject, record)
        self.model.sequences[stored.subject] = stored.sequence

    def submit(self, changes: Changes) -> asyncio.Future[None]:
        """Apply changes to the model now and store them in the next batches; the future is done when they are.

        Refused, with nothing applied, when a record is larger than the server takes.
        """
        writes = [_write(subject, record) for subject, record in changes.writes.items()]
        deleted = [subject for subject, record in changes.writes.items() if record is None]
        for subject, record in changes.writes.items():
            self.model.apply(subject, record)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not writes:
            stored.set_result(None)
            return stored
        parts = [writes[at : at + SLICE] for at in range(0, len(writes), SLICE)]
        for part in parts[:-1]:
            self._waiting.append(_Waiting(part, asyncio.get_running_loop().create_future(), []))
        self._waiting.append(_Waiting(parts[-1], stored, deleted))
        self._wake.set()
        return stored

    async def settled(self) -> None:
        """Wait until everything submitted so far is stored: what a reader is told was then really there."""
        if self._waiting:
            await asyncio.shield(self._waiting[-1].stored)

    async def run(self) -> None:
        """Store what is submitted, and renew the lease when nothing is. Ends with Deposed or StoreUnavailable."""
        try:
            while True:
                if not self._waiting:
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(LEASE_INTERVAL_S):
                            await self._wake.wait()
                    except TimeoutError:
                        pass
                await self._flush()
        except ShoalError as error:
            self._fail(error)
            raise
        except Deposed:
            self._fail(StoreUnavailable("another orchestrator leads now; send the request again"))
            raise

    def _fail(self, error: ShoalError) -> None:
        for waiting in self._waiting:
            if not waiting.stored.done():
                waiting.stored.set_exception(error)
                waiting.stored.exception()  # whoever waited may be gone
        self._waiting.clear()

    async def _flush(self) -> None:
        batch: list[_Waiting] = []
        size = 0
        for waiting in self._waiting:
            if batch and size + len(waiting.writes) > SLICE:
                break
            batch.append(waiting)
            size += len(waiting.writes)
        self._counter += 1
        lease = LeaseRecord(epoch=self.fence.epoch, counter=self._counter, nonce=self._nonce)
        # One subject stands once in a batch: what was submitted last is what counts.
        writes = {write.subject: write for waiting in batch for write in waiting.writes}
        first = Write(subjects.LEASE, codec.encode(lease, "json"))
        last = await self._commit([first, *writes.values()])
        for sequence, write in zip(range(last - len(writes) + 1, last + 1), writes.values(), strict=True):
            self._note(write, sequence)
        for waiting in batch:
            self._waiting.popleft()
            if not waiting.stored.done():
                waiting.stored.set_result(None)
        buried = [subject for waiting in batch for subject in waiting.deleted if not writes[subject].body]
        self._buried.extend(buried)
        self._dug.set()

    def _note(self, write: Write, sequence: int) -> None:
        self.model.sequences[write.subject] = sequence
        self.unsettled.add(write.subject)

    async def bury(self) -> None:
        """Purge what was deleted, as it comes; what is written again meanwhile has a higher sequence and stays."""
        while True:
            while not self._buried:
                self._dug.clear()
                await self._dug.wait()
            subject = self._buried.popleft()
            sequence = self.model.sequences.get(subject)
            if sequence is None or subject in self.model.records:
                continue
            try:
                await self._stream.purge(subject, below=sequence + 1)
            except (ShoalError, Conflicted) as error:
                # An empty body says the same, and the next leader purges it.
                LOG.warning("purge-failed", subject=subject, error=str(error))
            if self.model.sequences.get(subject) == sequence:
                del self.model.sequences[subject]

    async def _commit(self, writes: list[Write]) -> int:
        deadline = asyncio.get_running_loop().time() + GIVE_UP_S
        while True:
            try:
                return await self._stream.commit(writes, fence=self._fence_sequence)
            except (TimedOut, Fenced, Conflicted, StoreUnavailable) as error:
                done = await self._check(writes, error)
                if done is not None:
                    return done
                if asyncio.get_running_loop().time() > deadline:
                    raise StoreUnavailable(
                        f"the store did not take a batch for {GIVE_UP_S:g} s: {error}"
                    ) from error
                LOG.warning("batch-tried-again", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _check(self, writes: list[Write], error: Exception) -> int | None:
        """After a doubtful answer: the batch's last sequence if it was stored after all, None to try again.

        Deposed when the fence is another's. Only what is stored decides, never the error.
        """
        try:
            fence = await self._stream.get(subjects.FENCE)
            lease = await self._stream.get(subjects.LEASE)
        except ShoalError:
            return None
        if fence is None or codec.decode(fence.body, FenceRecord) != self.fence:
            raise Deposed("another orchestrator leads now") from error
        if lease is not None and lease.body == writes[0].body:
            return lease.sequence + len(writes) - 1
        return None

    async def publish(self, event: Event) -> None:
        """Store an event; StoreUnavailable or TimedOut when that is not known to have happened."""
        await self._stream.publish_event(event)
