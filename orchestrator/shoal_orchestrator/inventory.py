"""What the workers say: heartbeats, claims, reports and inventories, kept up to date and waited for.

Refuses to decide anything about VMs. A gap in a worker's reports, or a worker that is new to this leader, is
answered by asking it for its whole inventory.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable

import structlog

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message, Subscription
from shoal.errors import Conflict, ShoalError
from shoal.messages.desired import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAck,
    Inventory,
    InventoryRequest,
    LaunchRecord,
    Report,
    TapStatus,
    VMStatus,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.observed import HostState, SeenHost, carried_out, host_state
from shoal_orchestrator.core.records import HostRecord
from shoal_orchestrator.desired_counts import DesiredCounts
from shoal_orchestrator.store import Store

LOG = structlog.get_logger("shoal.inventory")
INVENTORY_TIMEOUT_S = 5.0
TICK_S = 0.5
#: how long another worker of the same host must be silent before its host is given away
TAKEOVER_S = 2.5

#: called with each VM status that is news: host, what was known before, what is known now
VMListener = Callable[[str, VMStatus | None, VMStatus], None]


class HostInventory:
    """All hosts as observed by this leader."""

    def __init__(self, bus: Bus, store: Store, spawn: Callable[..., None]) -> None:
        self._bus = bus
        self._store = store
        self._spawn = spawn
        self._counts = DesiredCounts(store)
        self.hosts: dict[str, SeenHost] = defaultdict(SeenHost)
        self.vm_listeners: list[VMListener] = []
        self.tap_listeners: list[Callable[[str, TapStatus], None]] = []
        self.host_listeners: list[Callable[[str, HostState, HostState], None]] = []
        #: told of each host of which captures wait to be collected, with every heartbeat
        self.capture_listeners: list[Callable[[str], None]] = []
        self._news: set[asyncio.Event] = set()

    # --- what is known -----------------------------------------------------------------------------------

    def state(self, host: str) -> HostState:
        """How a host is now."""
        seen = self.hosts.get(host)
        return seen.state if seen else "unknown"

    def alive(self) -> list[str]:
        """The hosts that are alive."""
        return [name for name, seen in self.hosts.items() if seen.state == "alive"]

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

    async def wait_for(self, done: Callable[[], bool]) -> None:
        """Wait until `done()` is true; it is asked again after every report, state change of a host, and commit."""
        news = asyncio.Event()
        self._news.add(news)
        try:
            while not done():
                news.clear()
                await news.wait()
        finally:
            self._news.discard(news)

    async def carried_out(self, records: Iterable[LaunchRecord], progress: Callable[[int], None]) -> None:
        """Wait until each VM's host has carried out its record or a later one, or is not alive any more."""
        model = self._store.model
        open_: dict[str, LaunchRecord] = {record.instance: record for record in records}
        total = len(open_)

        def done() -> bool:
            for instance, record in list(open_.items()):
                current = model.instances.get(instance)
                if (
                    current is None
                    or carried_out(record, self.status(record))
                    or self.state(record.host) in ("lost", "suspect")
                    or self._set_up_anew(record)
                ):
                    del open_[instance]
            progress(total - len(open_))
            return not open_

        await self.wait_for(done)

    def _set_up_anew(self, record: LaunchRecord) -> bool:
        """Whether the record is for an earlier incarnation of its host: nobody will carry it out."""
        host = self._store.model.hosts.get(record.host)
        return host is not None and host.incarnation != record.incarnation

    def tell(self) -> None:
        """Something has changed, here or in the model: whoever waits looks again."""
        for news in self._news:
            news.set()

    # --- what arrives ------------------------------------------------------------------------------------

    def expect(self, hosts: Iterable[str]) -> None:
        """Hosts that are known from before: they count as unknown, and as lost when they are silent for long."""
        now = asyncio.get_running_loop().time()
        for host in hosts:
            self.hosts[host].heard_at = now

    async def subscribe(self) -> list[Subscription]:
        """Listen to heartbeats, reports and claims."""
        return [
            await self._bus.subscribe(subjects.ALL_HEARTBEATS, self._on_heartbeat),
            await self._bus.subscribe(subjects.ALL_REPORTS, self._on_report),
            await self._bus.subscribe(subjects.CLAIM, self._on_claim),
        ]

    def _on_claim(self, message: Message) -> None:
        self._spawn(self._claim(message), "claim")

    async def _claim(self, message: Message) -> None:
        try:
            claim = codec.decode(message.body, Claim, limit=codec.MAX_COMMAND_BYTES)
            body = codec.encode(await self._grant(claim))
            headers = None
        except ShoalError as error:
            body = codec.encode(codec.failure_of(error))
            headers = {"Nats-Service-Error": error.message, "Nats-Service-Error-Code": str(error.code)}
        await self._bus.publish(message.reply, body, headers=headers)

    async def _grant(self, claim: Claim) -> Claimed:
        seen = self.hosts[claim.host]
        if seen.session not in ("", claim.session):
            await self._check_silent(claim, seen)
        seen.session, seen.heard_at = claim.session, asyncio.get_running_loop().time()
        seen.reports, seen.segments, seen.taps = -1, set(), {}
        seen.instances, seen.running_since = {}, {}
        known = self._store.model.hosts.get(claim.host)
        record = HostRecord(
            name=claim.host,
            incarnation=claim.incarnation,
            role=claim.role,
            underlay=claim.underlay,
            machine=claim.machine,
            version=claim.version,
            draining=known is not None and known.draining,
        )
        if known != record:
            changes = Changes()
            changes.put(record)
            await self._store.submit(changes)
        LOG.info("host-claimed", host=claim.host, role=claim.role, session=claim.session)
        cluster = self._store.model.cluster
        fence = self._store.fence
        return Claimed(
            store=fence.store, epoch=fence.epoch, head=cluster is not None and cluster.head == claim.host
        )

    async def _check_silent(self, claim: Claim, seen: SeenHost) -> None:
        """Refuse a claim while another worker's heartbeats arrive. One that was killed just now sends no more."""
        loop = asyncio.get_running_loop()
        heard_at, deadline = seen.heard_at, loop.time() + TAKEOVER_S
        while host_state(seen.heard_at, loop.time()) == "alive" and loop.time() < deadline:
            if seen.heard_at > heard_at:
                raise Conflict(
                    f"cannot claim host {claim.host}: another worker has it (its heartbeats arrive); "
                    "stop that one, or give this one another --host name"
                )
            await asyncio.sleep(TAKEOVER_S / 10)

    def _on_heartbeat(self, message: Message) -> None:
        beat = codec.decode(message.body, Heartbeat, limit=codec.MAX_COMMAND_BYTES)
        seen = self.hosts[beat.host]
        record = self._store.model.hosts.get(beat.host)
        if not seen.session and record is not None and record.incarnation == beat.incarnation:
            # A new leader: the claim was granted by its predecessor, and the record says so.
            seen.session = beat.session
        claimed = bool(seen.session) and seen.session == beat.session
        if claimed:
            seen.heartbeat, seen.heard_at = beat, asyncio.get_running_loop().time()
            seen.captures, seen.ended_captures = beat.captures, beat.ended_captures
            if seen.state != "alive":
                self._move(beat.host, seen, "alive")
            if beat.reports != seen.reports and not seen.asking:
                self._ask(beat.host)
            if beat.ended_captures:
                for listener in self.capture_listeners:
                    listener(beat.host)
        if message.reply:
            self._spawn(self._acknowledge(beat.host, message.reply, claimed), "heartbeat-ack")

    async def _acknowledge(self, host: str, reply: str, claimed: bool) -> None:
        count, sequence = self._counts.of(host)
        fence = self._store.fence
        ack = HeartbeatAck(
            store=fence.store, epoch=fence.epoch, claimed=claimed, stored=count, sequence=sequence
        )
        await self._bus.publish(reply, codec.encode(ack))

    def _on_report(self, message: Message) -> None:
        report = codec.decode(message.body, Report)
        seen = self.hosts[report.host]
        if report.session != seen.session:
            return
        if report.number != seen.reports + 1 and not seen.asking:
            self._ask(report.host)
        seen.reports = max(seen.reports, report.number)
        seen.ended_captures = report.ended_captures
        self._take(report.host, seen, report)

    def _take(self, host: str, seen: SeenHost, report: Report | Inventory) -> None:
        now = asyncio.get_running_loop().time()
        for status in report.vms:
            before = seen.instances.get(status.instance)
            if before is not None and status.revision < before.revision:
                continue
            seen.take(status, now)
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
        self.tell()

    # --- inventories -------------------------------------------------------------------------------------

    def _ask(self, host: str) -> None:
        self.hosts[host].asking = True
        self._spawn(self._inventory(host), "inventory")

    async def _inventory(self, host: str) -> None:
        """Ask a host for everything; the answer replaces what was known of it."""
        seen = self.hosts[host]
        try:
            after, first, pages = 0, -1, []
            while True:
                answer = await self._bus.request(
                    subjects.host_request(host, "inventory"),
                    codec.encode(InventoryRequest(after=after)),
                    timeout_s=INVENTORY_TIMEOUT_S,
                )
                page = codec.decode(answer.body, Inventory)
                first = page.number if first < 0 else first
                pages.append(page)
                if not page.next:
                    break
                after = page.next
            if pages[0].session != seen.session:
                return
            known = {status.instance for page in pages for status in page.vms}
            for instance in set(seen.instances) - known:
                seen.forget(instance)
            seen.segments = {s.vni for page in pages for s in page.segments if s.present}
            seen.reports = first
            for page in pages:
                self._take(host, seen, page)
        except ShoalError as error:
            # The next heartbeat shows the same difference, and asks again.
            LOG.warning("inventory-failed", host=host, error=error.message)
        finally:
            seen.asking = False

    # --- time --------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Let hosts age: alive, suspect, lost; only while this orchestrator itself is connected."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(TICK_S)
            lost_time = loop.time() - before - TICK_S
            for host, seen in list(self.hosts.items()):
                if not self._bus.connected or lost_time > TICK_S:
                    # We were away, not they: nobody grows older.
                    seen.heard_at += loop.time() - before
                    continue
                state = host_state(seen.heard_at, loop.time())
                silent = seen.heartbeat is None and state != "lost"
                if state != seen.state and not silent:
                    self._move(host, seen, state)

    def _move(self, host: str, seen: SeenHost, state: HostState) -> None:
        before, seen.state = seen.state, state
        LOG.info("host-state", host=host, before=before, now=state)
        for listener in self.host_listeners:
            listener(host, before, state)
        self.tell()
