"""What a handler has at hand: the model, the store, the inventory, and a call's progress and outcome.

Refuses to know requests and their meaning. `Call` is one request being handled.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from shoal.core.ids import Ids
from shoal.errors import NotFound, Unavailable
from shoal.messages.base import Reply
from shoal.messages.doctor import Finding
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.failures import told_in_short
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord, RequestRecord
from shoal_orchestrator.core.segments import segment_changes
from shoal_orchestrator.event_log import EventLog
from shoal_orchestrator.file_shelf import FileShelf
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.saves import Saves
from shoal_orchestrator.store import SLICE, Store
from shoal_orchestrator.workers import Workers

LOG = structlog.get_logger("shoal.leader")
#: outcomes of requests that are kept
OUTCOMES = 10_000
#: characters of an outcome that is kept; quoted once more in its record, it must fit into a message
MAX_OUTCOME = 400 * 1024

Spawn = Callable[[Coroutine[Any, Any, None], str], None]
#: looks at the streams on the server, and says what is wrong with them
CheckStore = Callable[[], Awaitable[tuple[Finding, ...]]]


async def unchecked() -> tuple[Finding, ...]:
    """Where there are no streams to look at."""
    return ()


class Leader:
    """One term of leadership: what handlers and background work share."""

    def __init__(
        self,
        *,
        store: Store,
        inventory: HostInventory,
        events: EventLog,
        shelf: FileShelf,
        workers: Workers,
        ids: Ids,
        spawn: Spawn,
        metrics: Metrics = NOBODY,
        check_store: CheckStore = unchecked,
    ) -> None:
        self.store = store
        self.check_store = check_store
        self.metrics = metrics
        self.shelf = shelf
        self.workers = workers
        self.inventory = inventory
        self.events = events
        self.ids = ids
        self.spawn = spawn
        self.saves = Saves()
        #: how many VMs of each plan that is being carried out are done, by namespace and plan
        self.launching: dict[tuple[str, str], int] = {}
        self.requests_running = 0
        #: held while records are rebuilt
        self.repairing = asyncio.Lock()
        #: held, by host, while what its captures came to is put into the file store and named
        self.collecting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._slots = self._slots_by_age()

    def _slots_by_age(self) -> deque[int]:
        """All slots for outcomes: those that are free, then the one that was written longest ago, and so on."""
        written = {
            record.slot: self.store.model.sequences.get(subject, 0)
            for subject, record in self.store.model.records.items()
            if isinstance(record, RequestRecord)
        }
        return deque(sorted(range(OUTCOMES), key=lambda slot: written.get(slot, -1)))

    @property
    def model(self) -> Model:
        """The state, as it is decided."""
        return self.store.model

    @property
    def cluster(self) -> ClusterRecord:
        """The cluster's own record; it exists from the first start on."""
        assert self.model.cluster is not None
        return self.model.cluster

    def namespace(self, name: str) -> NamespaceRecord:
        """The record of a namespace. NotFound when there is none, or it is being cleared."""
        record = self.model.namespaces.get(name)
        if record is None:
            raise NotFound(f"no such namespace: `{name}`; create it with `namespace {name}`", names=(name,))
        if record.clearing:
            raise NotFound(f"namespace `{name}` is being cleared; wait until that has ended", names=(name,))
        return record

    def hosts_of(self, record: NamespaceRecord) -> tuple[str, ...]:
        """The hosts of a namespace; for one without a fixed set, every live host, or the head alone."""
        fixed = self.model.members(record)
        return self.default_hosts() if fixed is None else fixed

    def default_hosts(self) -> tuple[str, ...]:
        """Every live host except the head, or the head alone when there is no other."""
        head = self.cluster.head
        others = self.live_hosts()
        return tuple(host for host in others if host != head) or (head,)

    def live_hosts(self) -> list[str]:
        """The hosts that are alive, by name."""
        return sorted(self.inventory.alive())

    def next_slot(self) -> int:
        """The slot for the next request's outcome; the oldest outcome gives way."""
        self._slots.rotate(-1)
        return self._slots[-1]

    async def commit(self, changes: Changes) -> None:
        """Store changes, then publish their events. Returns when they are stored.

        Segments that get a new host by them are stored with them; those that lose one follow a little later
        (`background`), gathered.
        """
        stored = [self.store.submit(changes)]
        self.inventory.tell()
        grown = self._grown_segments()
        if grown:
            stored.append(self.store.submit(grown))
        await asyncio.shield(asyncio.gather(*stored))
        self.events.publish(changes.events)

    def _grown_segments(self) -> Changes:
        changes = Changes()
        if not self.model.touched or self.model.cluster is None:
            return changes
        for record in segment_changes(self.model, self.cluster, self.model.touched):
            before = self.model.segments.get(record.vni)
            if before is None or before.removed or not record.peers.keys() <= before.peers.keys():
                changes.put(record)
        return changes


class Call:
    """One request being handled: where its progress goes, and how its outcome is stored with its change."""

    def __init__(
        self, leader: Leader, request_id: str, progress: Callable[[int, int, str], None], name: str = ""
    ) -> None:
        self._leader = leader
        self._request_id = request_id
        #: what the logs know this request by, on every host: its id, or one of ours for a request without
        self.name = name or request_id
        self.progress = progress
        known = leader.model.requests.get(request_id)
        #: a predecessor began to carry this request out: what is already as asked for is no error
        self.repeat = known is not None
        self._slot = known.slot if known else -1

    async def once(self, look: str) -> None:
        """Write down that this is begun, where doing it twice would show. `look` tells how to see what was done.

        Unavailable when a predecessor began it: nobody knows whether it was done.
        """
        if self.repeat:
            raise Unavailable(f"an orchestrator ended while it did this, and it may be done: {look}")
        await self.commit(Changes())

    async def commit(self, changes: Changes, reply: Reply | None = None, *, plan: str = "") -> None:
        """Store changes, and in the same batch that this request made them, so that a repeat does not.

        `reply` is the request's outcome; without one it is not finished yet. `plan` is the plan that it saves.
        """
        outcome = self.outcome(reply, plan=plan)
        changes.ask_as(self.name)
        if outcome is None:
            await self._leader.commit(changes)
            return
        if reply is None:
            changes.put_first(outcome)
        else:
            if len(changes.writes) >= SLICE:
                # Of several batches: the first says that it was begun, the last what it came to.
                begun = Changes()
                begun.put(replace(outcome, reply=""))
                self._leader.store.submit(begun)
            changes.put(outcome)
        await self._leader.commit(changes)

    def outcome(self, reply: Reply | None, *, plan: str = "") -> RequestRecord | None:
        """The record of what this request came to; None for one without an id."""
        if not self._request_id:
            return None
        if self._slot < 0:
            self._slot = self._leader.next_slot()
        text = msgspec.json.encode(told_in_short(reply)).decode() if reply is not None else ""
        if len(text) > MAX_OUTCOME:
            text = ""  # what was changed is stored; a repeat is not answered from here
        return RequestRecord(id=self._request_id, slot=self._slot, reply=text, plan=plan)
