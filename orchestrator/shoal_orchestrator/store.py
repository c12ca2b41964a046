"""The leader's state: the model in memory and the stream behind it, always changed together and fenced.

Refuses to know what records mean. A change is applied to the model at once, so that the next decision sees it,
and goes into the next atomic batch; nobody is answered before the batch is stored. When it cannot be stored the
term ends: the model is thrown away and loaded again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import NamedTuple

import msgspec
import structlog

from shoal import codec, subjects
from shoal.bus.protocol import Conflicted, Event, Fenced, StateStream, Stored, Write
from shoal.core.ids import Ids, token
from shoal.errors import InvalidRequest, Refused, ShoalError, StoreUnavailable, TimedOut
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_orchestrator import measures
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.leases import (
    LEASE_INTERVAL_S,
    LEASE_S,
    Deposed,
    FenceRecord,
    Lead,
    LeaseRecord,
    read_fence,
)
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.stored_records import record_kind, record_write
from shoal_orchestrator.tombstones import Tombstones

LOG = structlog.get_logger("shoal.store")
#: records in one batch, beside the lease (the server takes 1,000 messages)
SLICE = 900
RETRY_S = 0.5
#: how long a batch is tried before the term ends
GIVE_UP_S = LEASE_S
#: how long the requests that waited for a store that was lost can still be answered
ANSWERS_S = 0.1
#: so long after the last batch a leader asks the store whether it still leads
CONFIRM_AFTER_S = 10.0


class _Waiting(NamedTuple):
    writes: list[Write]
    stored: asyncio.Future[None]


class Store:
    """One term of leadership over the state stream. Use: `take_over`, then `run` and `tombstones.run` beside who commits."""

    def __init__(self, stream: StateStream, ids: Ids, metrics: Metrics = NOBODY) -> None:
        self._stream = stream
        self._nonce = token(ids)
        self._ids = ids
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._counter = 0
        self._fence_sequence = self._lease_sequence = 0
        self._renewed_at = 0.0
        self._released = False
        #: why the term has ended; what is submitted then fails at once
        self._ended: ShoalError | None = None
        #: that of the last message that is known to be stored
        self.last_sequence = 0
        #: why nothing is changed any more: the store went backwards; empty as long as all is well
        self.backwards = ""
        #: why nothing is changed for a moment
        self._held = ""
        #: subjects of records that could not be read, and are kept
        self.unreadable: list[str] = []
        self._metrics = metrics
        self.model = Model()
        self.tombstones = Tombstones(stream, self.model)
        self.fence = self._next = FenceRecord(store="", epoch=0, nonce="")
        #: subjects of hosts (launch, tap, tunnel) whose stored sequence changed: the heartbeat's answer tells
        self.unsettled: set[str] = set()

    async def take_over(self, found: Lead, holder: str = "") -> None:
        """Write fence and lease by compare-and-set on those that were `found`, then load every record.

        `holder` names our process. Deposed when another was faster, or the leader lives.
        """
        old = read_fence(found.fence)
        self.fence = FenceRecord(
            store=old.store if old else token(self._ids),
            epoch=(old.epoch if old else 0) + 1,
            nonce=self._nonce,
            holder=holder,
            succeeds=old.succeeds if old else (),
        )
        before = found.fence.sequence if found.fence else 0
        fence = Write(subjects.FENCE, codec.encode(self.fence, "json"), before)
        lease = Write(subjects.LEASE, self._lease(), found.lease.sequence if found.lease else 0)
        try:
            last = await self._stream.commit([fence, lease], fence=before)
        except (Fenced, Conflicted, TimedOut):
            # A time-out may have happened: only what is stored decides.
            now = await self._stream.get(subjects.LEASE)
            if now is None or now.body != lease.body:
                raise Deposed("another orchestrator took the lead first, or the leader lives") from None
            last = now.sequence
        self._fence_sequence, self._lease_sequence, self.last_sequence = last - 1, last, last
        self._renewed_at = asyncio.get_running_loop().time()
        await self._load()

    def _lease(self, *, released: bool = False) -> bytes:
        """The next pulse."""
        self._counter += 1
        lease = LeaseRecord(
            epoch=self.fence.epoch, counter=self._counter, nonce=self._nonce, released=released
        )
        return codec.encode(lease, "json")

    async def _load(self) -> None:
        for filter_ in subjects.RECORD_FILTERS:
            for stored in await self._stream.read(filter_):
                if stored.body:
                    self._load_one(stored)
                else:
                    # To purge many takes longer than the lease lasts: it is done beside the term.
                    self.model.sequences[stored.subject] = stored.sequence
                    self.tombstones.add((stored.subject,))
        if self.model.cluster is not None:
            self.backwards = self.model.cluster.frozen
        LOG.info("state-loaded", records=len(self.model.records), epoch=self.fence.epoch)

    def _load_one(self, stored: Stored) -> None:
        kind = record_kind(stored.subject)
        if kind is None:
            LOG.warning("record-of-unknown-kind-kept", subject=stored.subject)
            self.unreadable.append(stored.subject)
            return
        try:
            record = codec.decode(stored.body, kind)
        except InvalidRequest as error:
            LOG.error("record-unreadable-kept", subject=stored.subject, error=error.message)  # noqa: TRY400
            self.unreadable.append(stored.subject)
            return
        self.model.apply(stored.subject, record)
        self.model.sequences[stored.subject] = stored.sequence

    @property
    def frozen(self) -> str:
        """Why nothing is changed, as a person reads it; empty as long as all is well."""
        return self.backwards or self._held

    def submit(self, changes: Changes, *, force: bool = False) -> asyncio.Future[None]:
        """Apply changes to the model now and store them in the next batches; the future is done when they are.

        Refused, with nothing applied, when a record is larger than the server takes, or the store went backwards and
        nothing may be changed, unless by force.
        """
        if self.frozen and changes.writes and not force:
            raise Refused(self.frozen)
        if len(changes.writes) > SLICE:
            changes.gather_hosts()
        writes = [record_write(subject, record) for subject, record in changes.writes.items()]
        self._apply(changes)
        if not writes:
            stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            stored.set_result(None)
            return stored
        parts = [writes[at : at + SLICE] for at in range(0, len(writes), SLICE)]
        for part in parts[:-1]:
            self._add(part)
        return self._add(parts[-1])

    @property
    def ended(self) -> bool:
        """Whether the term is over, or being ended: what is not stored yet is another leader's."""
        return self._released or self._ended is not None

    @property
    def waiting(self) -> int:
        """How many sets of records wait to be stored."""
        return len(self._waiting)

    async def settled(self) -> None:
        """Wait until everything submitted so far is stored: what a reader is told was then really there."""
        if self._ended is not None:
            raise self._ended
        if self._waiting:
            await asyncio.shield(self._waiting[-1].stored)

    async def confirm(self) -> None:
        """Return when the lead was surely ours a moment ago. StoreUnavailable when it is not any more.

        Before a request is handled: what a leader that was paused believes may be long out of date.
        """
        if self._ended is not None or asyncio.get_running_loop().time() - self._renewed_at > CONFIRM_AFTER_S:
            await self.renew()

    async def renew(self) -> None:
        """Renew the lease now: `last_sequence` is then higher than that of anything that was stored before."""
        await asyncio.shield(self._add([]))

    def freeze(self, reason: str) -> None:
        """Change nothing any more: the store is older than what hosts have seen of it."""
        if not self.backwards:
            self.backwards = f"the store went backwards ({reason}): nothing is changed, VMs run on; `shoal doctor` tells how to go on"
            LOG.error("frozen", reason=reason)
            if self.model.cluster is not None:
                # Each take-over raises the epoch: without this mark the next leader would see nothing any more.
                marked = msgspec.structs.replace(self.model.cluster, frozen=self.backwards)
                self.model.apply(subjects.CLUSTER, marked)
                self._add([record_write(subjects.CLUSTER, marked)])

    @contextlib.contextmanager
    def held(self, why: str) -> Iterator[None]:
        """Change nothing for a while, without a mark in the store. Workers are told, and hold themselves back."""
        self._held = why
        try:
            yield
        finally:
            self._held = ""

    async def become(self, fence: FenceRecord, changes: Changes) -> None:
        """Store, in one batch with `changes`, that this is another store from now on; it is frozen no more then.

        Everything else was stored before (`submit` by force): until this is, all is as it was.
        """
        self._next = fence
        self._apply(changes)
        writes = [record_write(subject, record) for subject, record in changes.writes.items()]
        writes.append(Write(subjects.FENCE, codec.encode(fence, "json"), expect=self._fence_sequence))
        await asyncio.shield(self._add(writes))

    async def subjects_stored(self) -> list[str]:
        """The subjects of all records that the store has now, whatever the model says."""
        await self.renew()
        found = [await self._stream.read(filter_) for filter_ in subjects.RECORD_FILTERS]
        return [stored.subject for some in found for stored in some]

    async def release(self) -> None:
        """Store what was submitted, and with it that the term has ended: the next leader need not wait."""
        self._released = True
        await asyncio.shield(self._add([]))

    def _apply(self, changes: Changes) -> None:
        for subject, record in changes.writes.items():
            self.model.apply(subject, record)

    def _add(self, writes: list[Write]) -> asyncio.Future[None]:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._ended is not None:
            stored.set_exception(self._ended)
            stored.exception()  # whoever submits may not wait
            return stored
        self._waiting.append(_Waiting(writes, stored))
        self._wake.set()
        return stored

    async def run(self) -> None:
        """Store what is submitted, and renew the lease when nothing is. Ends with Deposed or StoreUnavailable.

        After `release` it ends by itself.
        """
        try:
            while not self._released or self._waiting:
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
            await asyncio.sleep(ANSWERS_S)
            raise
        except Deposed:
            self._fail(StoreUnavailable("another orchestrator leads now; send the request again"))
            await asyncio.sleep(ANSWERS_S)
            raise

    def _fail(self, error: ShoalError) -> None:
        """Nothing is stored any more, and what the model has may not be in the store: nobody may be told of it."""
        self._ended = error
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
        begun = asyncio.get_running_loop().time()
        released = self._released and len(batch) == len(self._waiting)
        # One subject stands once in a batch: what was submitted last is what counts.
        writes = {write.subject: write for waiting in batch for write in waiting.writes}
        first = Write(subjects.LEASE, self._lease(released=released))
        last = await self._commit([first, *writes.values()])
        self._renewed_at = begun
        self._lease_sequence = last - len(writes)
        if self._lease_sequence <= self.last_sequence:
            # The end of the store was cut off, and the lease before it was left.
            self.freeze(f"a batch got sequence {self._lease_sequence}, after {self.last_sequence}")
        self.last_sequence = last
        self._metrics.observe(measures.BATCH_SECONDS, asyncio.get_running_loop().time() - begun)
        self._metrics.observe(measures.BATCH_RECORDS, len(writes))
        for sequence, write in zip(range(last - len(writes) + 1, last + 1), writes.values(), strict=True):
            self._note(write, sequence)
        for waiting in batch:
            self._waiting.popleft()
            if not waiting.stored.done():
                waiting.stored.set_result(None)
        self.tombstones.add(write.subject for write in writes.values() if not write.body)

    def _note(self, write: Write, sequence: int) -> None:
        if write.subject == subjects.FENCE:
            self.fence, self._fence_sequence, self.backwards = self._next, sequence, ""
            return
        self.model.sequences[write.subject] = sequence
        self.unsettled.add(write.subject)

    async def _commit(self, writes: list[Write]) -> int:
        deadline = asyncio.get_running_loop().time() + GIVE_UP_S
        while True:
            try:
                # The lease's own sequence makes a batch that is tried again one batch, however late the first attempt
                # arrives; and it changes with every take-over.
                writes[0] = writes[0]._replace(expect=self._lease_sequence)
                return await self._stream.commit(writes, fence=self._fence_sequence)
            except (TimedOut, Fenced, Conflicted, StoreUnavailable) as error:
                self._metrics.count(
                    measures.REFUSED_WRITES, measures.WHY_REFUSED.get(type(error), "unavailable")
                )
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
            # The fence last: if it is ours then, nobody else can have written the lease that was read before.
            lease = await self._stream.get(subjects.LEASE)
            fence = await self._stream.get(subjects.FENCE)
        except ShoalError:
            return None
        # The lease first: a batch may bring a fence of our own.
        if lease is not None and lease.body == writes[0].body:
            last = lease.sequence + len(writes) - 1
            if await self._ends(writes, last):
                return last
            # A batch is all or nothing but for a server whose space ends in the middle of it: the rest is missing.
            LOG.warning("batch-stored-in-part", records=len(writes) - 1)
            self._lease_sequence = lease.sequence
            return None
        if read_fence(fence) != self.fence:
            raise Deposed("another orchestrator leads now") from error
        stored = lease.sequence if lease is not None else 0
        if stored != self._lease_sequence:
            # Only we could have written it since.
            self.freeze(f"its lease has sequence {stored}, and {self._lease_sequence} was stored")
            self._lease_sequence = stored
        return None

    async def _ends(self, writes: list[Write], last: int) -> bool:
        """Whether the last message of a batch was stored, under this sequence."""
        if len(writes) == 1:
            return True
        try:
            found = await self._stream.get(writes[-1].subject)
        except ShoalError:
            return False
        return found is not None and found.sequence == last

    async def publish(self, events: Sequence[Event]) -> None:
        """Store events; StoreUnavailable or TimedOut when that is not known to have happened for all of them."""
        await self._stream.publish_events(events)

    def last_events(self) -> AsyncGenerator[Stored, None]:
        """The last event of each subject, oldest first; StoreUnavailable when they do not all come."""
        return self._stream.last_events(subjects.events())
