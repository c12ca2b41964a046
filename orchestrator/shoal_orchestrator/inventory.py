"""What the workers say: heartbeats, reports and inventories, kept up to date and waited for.

Refuses to decide anything about VMs, and about hosts: see `claims` and `aging`; `acknowledging` answers heartbeats. A
gap in a worker's reports, or a worker that is new to this leader, is answered by asking it for its whole inventory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import structlog

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message, Subscription
from shoal.errors import ShoalError
from shoal.messages.desired import (
    Heartbeat,
    Inventory,
    InventoryRequest,
    LaunchRecord,
    Report,
    TapStatus,
    VMStatus,
)
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_orchestrator import measures
from shoal_orchestrator.acknowledging import Acknowledgements, Spawn
from shoal_orchestrator.core.backwards import went_backwards
from shoal_orchestrator.core.observed import HostState, SeenHost, carried_out
from shoal_orchestrator.news import ANYWHERE, News
from shoal_orchestrator.store import Store
from shoal_orchestrator.vm_counts import VMCounts

LOG = structlog.get_logger("shoal.inventory")
#: well below what a new leader waits for its hosts: a question that was lost is asked again with the next heartbeat
INVENTORY_TIMEOUT_S = 2.0
#: how many hosts are asked at once: were it all that have come back, their answers would come too late, and each be
#: asked for again
INVENTORIES_AT_ONCE = 256

#: called with each VM status that is news: host, what was known before, what is known now
VMListener = Callable[[str, VMStatus | None, VMStatus], None]


class HostInventory:
    """All hosts as observed by this leader."""

    def __init__(self, bus: Bus, store: Store, spawn: Spawn, metrics: Metrics = NOBODY) -> None:
        self._bus = bus
        self._store = store
        self._spawn = spawn
        self.acknowledgements = Acknowledgements(bus, store, spawn)
        self._metrics = metrics
        self._read_heartbeat = codec.small_reader(Heartbeat)
        self.hosts: dict[str, SeenHost] = defaultdict(SeenHost)
        self.vm_counts = VMCounts(store.model, self.hosts)
        #: how many hosts have fallen silent together, too many to be believed; 0: none are
        self.frozen = 0
        self.vm_listeners: list[VMListener] = []
        self.tap_listeners: list[Callable[[str, TapStatus], None]] = []
        self.host_listeners: list[Callable[[str, HostState, HostState], None]] = []
        #: told of each host of which captures wait to be collected, with every heartbeat
        self.capture_listeners: list[Callable[[str], None]] = []
        self._doubting = False
        self._news = News()
        self._free_to_ask = asyncio.Semaphore(INVENTORIES_AT_ONCE)

    # --- what is known -----------------------------------------------------------------------------------

    def state(self, host: str) -> HostState:
        """How a host is now."""
        seen = self.hosts.get(host)
        return seen.state if seen else "unknown"

    def alive(self) -> list[str]:
        """The hosts that are alive."""
        return [name for name, seen in self.hosts.items() if seen.state == "alive"]

    def host_states(self) -> Counter[str]:
        """How many hosts of the cluster are in each state."""
        return Counter(map(self.state, self._store.model.hosts))

    def status(self, record: LaunchRecord) -> VMStatus | None:
        """What the record's host last said of this instance."""
        seen = self.hosts.get(record.host)
        return seen.instances.get(record.instance) if seen else None

    def uptime_s(self, record: LaunchRecord) -> float:
        """How long a VM has been running, by what its host last said."""
        seen = self.hosts.get(record.host)
        return seen.uptime_s(record.instance, asyncio.get_running_loop().time()) if seen else 0.0

    def segment_hosts(self, vni: int) -> list[str]:
        """The hosts that have this VNI now, as far as they have said."""
        return [name for name, seen in self.hosts.items() if vni in seen.segments]

    # --- waiting -----------------------------------------------------------------------------------------

    async def heard(self, timeout_s: float) -> None:
        """Wait until every host that the state knows has told everything, or for `timeout_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.wait_for(
                    lambda: all(
                        self.hosts[host].reports >= 0 or record.fenced
                        for host, record in self._store.model.hosts.items()
                    )
                )

    async def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait until `done()` is true; it is asked again after every report, state change of a host, and commit."""
        await self._news.wait(lambda _: done())

    async def carried_out(self, records: Iterable[LaunchRecord], progress: Callable[[int], None]) -> None:
        """Wait until each VM's host has carried out its record or a later one, or is not alive any more."""
        open_: defaultdict[str, dict[str, LaunchRecord]] = defaultdict(dict)
        for record in records:
            open_[record.host][record.instance] = record
        finished = 0

        def done(hosts: AbstractSet[str]) -> bool:
            nonlocal finished
            for host in list(open_) if ANYWHERE in hosts else hosts & open_.keys():
                ended = [record for record in open_[host].values() if self._is_over(record)]
                for record in ended:
                    del open_[host][record.instance]
                finished += len(ended)
                if not open_[host]:
                    del open_[host]
            progress(finished)
            return not open_

        await self._news.wait(done)

    def _is_over(self, record: LaunchRecord) -> bool:
        """Whether nothing more is to be waited for of a record."""
        return (
            record.instance not in self._store.model.instances
            or carried_out(record, self.status(record))
            or self.state(record.host) in ("lost", "suspect")
            or self._set_up_anew(record)
        )

    def _set_up_anew(self, record: LaunchRecord) -> bool:
        """Whether the record is for an earlier incarnation of its host: nobody will carry it out."""
        host = self._store.model.hosts.get(record.host)
        return host is not None and host.incarnation != record.incarnation

    def tell(self, host: str = ANYWHERE) -> None:
        """Something has changed, on a host or in the model: whoever waits looks again."""
        self._news.tell(host)

    # --- what arrives ------------------------------------------------------------------------------------

    def expect(self) -> None:
        """Hosts that are known from before count as unknown, and as lost when they are silent for long.

        Those that an operator has declared dead are lost.
        """
        now = asyncio.get_running_loop().time()
        for host, record in self._store.model.hosts.items():
            self.hosts[host].heard_at = now
            if record.fenced:
                self.hosts[host].state = "lost"

    def declare_dead(self, host: str) -> None:
        """An operator says that the host runs nothing any more; until it is claimed again it says nothing."""
        seen = self.hosts[host]
        seen.session, seen.heartbeat = "", None
        seen.instances, seen.running_since, seen.taps, seen.segments = {}, {}, {}, set()
        self.move(host, "lost")
        self.vm_counts.host_changed(host)

    def begin_session(self, host: str, session: str) -> None:
        """Another worker speaks for the host from now on: nothing that the one before said holds."""
        seen = self.hosts[host]
        seen.session, seen.heard_at = session, asyncio.get_running_loop().time()
        seen.reports, seen.segments, seen.taps = -1, set(), {}
        seen.instances, seen.running_since = {}, {}

    def unclaim(self, host: str) -> None:
        """The claim of a host's worker does not stand any more: it is told so, and claims the host again."""
        self.hosts[host].session = ""

    async def subscribe(self) -> list[Subscription]:
        """Listen to heartbeats and reports."""
        return [
            await self._bus.subscribe(subjects.ALL_HEARTBEATS, self._on_heartbeat),
            await self._bus.subscribe(subjects.ALL_REPORTS, self._on_report),
        ]

    def _on_heartbeat(self, message: Message) -> None:
        beat = self._read_heartbeat(message.body)
        seen = self.hosts[beat.host]
        record = self._store.model.hosts.get(beat.host)
        standing = record is not None and record.incarnation == beat.incarnation and not record.fenced
        if not seen.session and standing:
            # A new leader: the claim was granted by its predecessor, and the record says so. A host that was declared
            # dead has to claim itself anew: only that takes the word back.
            seen.session = beat.session
        claimed = bool(seen.session) and seen.session == beat.session
        self._metrics.count(measures.HEARTBEATS, str(claimed).lower())
        if claimed:
            seen.heartbeat, seen.heard_at = beat, asyncio.get_running_loop().time()
            seen.captures, seen.ended_captures = beat.captures, beat.ended_captures
            if seen.state != "alive":
                self.move(beat.host, "alive")
            if beat.reports != seen.reports and not seen.asking:
                self._ask(beat.host)
            if beat.ended_captures:
                for listener in self.capture_listeners:
                    listener(beat.host)
        if not self._doubting and self._went_backwards(beat):
            self._doubting = True
            self._spawn(self._doubt(beat), "store-doubted")
        self.acknowledgements.owe(beat.host, message.reply, claimed=claimed)

    def _went_backwards(self, beat: Heartbeat) -> str:
        store = self._store
        return went_backwards(store.fence, store.last_sequence, beat, vms=bool(store.model.instances))

    async def _doubt(self, beat: Heartbeat) -> None:
        """A host has seen what the store does not have: freeze, if that still holds for what is stored after it."""
        try:
            await self._store.renew()
            reason = self._went_backwards(beat)
            if reason:
                self._store.freeze(reason)
        finally:
            self._doubting = False

    def _on_report(self, message: Message) -> None:
        report = codec.decode(message.body, Report)
        seen = self.hosts[report.host]
        if report.session != seen.session:
            return
        self._metrics.count(measures.REPORTS)
        if report.number <= seen.reports:
            return  # it came twice, or late: what it tells is older than what is known
        if report.number == seen.reports + 1:
            seen.reports = report.number
        elif not seen.asking:
            # The number stays: should this inventory fail, heartbeats show that something is missing.
            self._ask(report.host)
        seen.ended_captures = report.ended_captures
        self._take(report.host, seen, report)

    def _take(self, host: str, seen: SeenHost, report: Report | Inventory) -> None:
        now = asyncio.get_running_loop().time()
        for status in report.vms:
            before = seen.instances.get(status.instance)
            if before is not None and status.revision < before.revision:
                continue
            seen.take(status, now)
            self.vm_counts.vm_changed(status.instance)
            for vm_listener in self.vm_listeners:
                vm_listener(host, before, status)
        for tap in report.taps:
            if tap.gone:
                seen.taps.pop((tap.namespace, tap.tap), None)
            else:
                seen.taps[tap.namespace, tap.tap] = tap
            for tap_listener in self.tap_listeners:
                tap_listener(host, tap)
        for segment in report.segments:
            (seen.segments.add if segment.present else seen.segments.discard)(segment.vni)
        self.tell(host)

    # --- inventories -------------------------------------------------------------------------------------

    def _ask(self, host: str) -> None:
        self.hosts[host].asking = True
        self._spawn(self._inventory(host), "inventory")

    async def _inventory(self, host: str) -> None:
        """Ask a host for everything; the answer replaces what was known of it."""
        seen = self.hosts[host]
        try:
            async with self._free_to_ask:
                pages = await self._pages(host)
            if pages[0].session != seen.session:
                return
            known = {status.instance for page in pages for status in page.vms}
            for instance in set(seen.instances) - known:
                seen.forget(instance)
                self.vm_counts.vm_changed(instance)
            seen.segments = {s.vni for page in pages for s in page.segments if s.present}
            seen.reports = pages[0].number
            for page in pages:
                self._take(host, seen, page)
            self._metrics.count(measures.INVENTORIES, "ok")
        except ShoalError as error:
            self._metrics.count(measures.INVENTORIES, error.kind)
            # The next heartbeat shows the same difference, and asks again.
            LOG.warning("inventory-failed", host=host, error=error.message)
        finally:
            seen.asking = False

    async def _pages(self, host: str) -> list[Inventory]:
        """The answer of a host, whole."""
        pages: list[Inventory] = []
        after = 0
        while True:
            answer = await self._bus.request(
                subjects.host_request(host, "inventory"),
                codec.encode(InventoryRequest(after=after)),
                timeout_s=INVENTORY_TIMEOUT_S,
            )
            pages.append(codec.decode(answer.body, Inventory))
            after = pages[-1].next
            if not after:
                return pages

    def move(self, host: str, state: HostState) -> None:
        """A host is in another state now: whoever waits for that is told."""
        seen = self.hosts[host]
        before, seen.state = seen.state, state
        self.vm_counts.host_changed(host)
        LOG.info("host-state", host=host, before=before, now=state)
        for listener in self.host_listeners:
            listener(host, before, state)
        self.tell(host)
