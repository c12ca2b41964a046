"""The worker of one host: wires its parts together, runs them, and lets go in order.

Refuses to decide anything. The hypervisor, network, machine and journal come in as their Protocols: real ones
and simulated ones run under the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoal.bus.protocol import BlobStore, Bus, StateStream
from shoal.errors import Unavailable
from shoal.messages.desired import Claim, Heartbeat, HeartbeatAck, Quota, Role
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_worker.answering import Answering
from shoal_worker.answers import answers_of
from shoal_worker.answers.desk import Desk
from shoal_worker.capture_book import CaptureBook
from shoal_worker.captures import Captures
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import FileCache, SimulatedCache
from shoal_worker.gauges import readings_of
from shoal_worker.guest_access import GuestAccess
from shoal_worker.health import Health, SimulatedHealth
from shoal_worker.heart import Heart
from shoal_worker.host_links import HostLinks
from shoal_worker.hypervisor import Facts, Hypervisor
from shoal_worker.images import Images
from shoal_worker.journal import Journal
from shoal_worker.leases import Leases, SimulatedLeases
from shoal_worker.machine import Machine
from shoal_worker.network import Network
from shoal_worker.packet_recorder import PacketRecorder
from shoal_worker.programs import NoPrograms, Programs
from shoal_worker.reconciler import Limits, Reconciler
from shoal_worker.reporter import Reporter
from shoal_worker.simulated_images import SimulatedImages
from shoal_worker.simulated_recorder import SimulatedRecorder
from shoal_worker.state_reader import StateReader

#: how long a worker that was told to end waits for what it is doing
DRAIN_S = 5.0
_MAX_WARNINGS = 10


@dataclass(frozen=True, slots=True)
class Host:
    """Who this host is, and what it is made of. `underlay` is the address that its tunnels end at.

    `quota` is the most that may be promised here. `cache` makes the place for the cluster's files. `programs` None:
    nobody may run any. `offered`: see Desk.
    """

    name: str
    hypervisor: Hypervisor
    access: GuestAccess
    network: Network
    machine: Machine
    journal: Journal
    role: Role = "host"
    underlay: str = ""
    limits: Limits = field(default_factory=Limits)
    quota: Quota = field(default_factory=Quota)
    cache: Callable[[BlobStore], FileCache] = SimulatedCache
    leases: Leases = field(default_factory=SimulatedLeases)
    recorder: PacketRecorder = field(default_factory=SimulatedRecorder)
    book: CaptureBook = field(default_factory=CaptureBook)
    programs: Programs | None = None
    images: Images = field(default_factory=SimulatedImages)
    offered: Path | None = None
    health: Health = field(default_factory=SimulatedHealth)


@dataclass(frozen=True, slots=True)
class Process:
    """What the workers of one process share. `gate` bounds how many of them read and claim at once; `up_to_date` tells
    whether what arrives now was sent a moment ago.
    """

    bus: Bus
    stream: StateStream
    blobs: BlobStore
    gate: Callable[[], AbstractAsyncContextManager[object]]
    rng: random.Random
    version: str
    metrics: Metrics = NOBODY
    up_to_date: Callable[[], bool] = lambda: True


class Worker:
    """One host's worker."""

    def __init__(self, process: Process, host: Host, log: Any) -> None:
        self._process = process
        self._host = host
        self._log = log.bind(host=host.name)
        self._parts: _Parts | None = None
        self._open = asyncio.Event()

    async def run(self) -> None:
        """Open everything, claim the host, act until cancelled, let go. Guests run on.

        Raises HypervisorError, NetworkError or JournalError when the host cannot be used, Conflict when another
        worker has it; from a TaskGroup, so in an ExceptionGroup.
        """
        host = self._host
        async with self._opened() as facts:
            self._log.info(
                "host-opened", role=host.role, hypervisor=facts.version, incarnation=host.journal.incarnation
            )
            parts = self._parts = _Parts(self._process, host, facts, self._log)
            self._open.set()
            await parts.captures.open()
            await self._subscribe(parts)
            with parts.measured():
                async with asyncio.TaskGroup() as group:
                    group.create_task(parts.heart.run())
                    group.create_task(parts.reader.run())
                    group.create_task(parts.reporter.run())
                    group.create_task(parts.answering.run())
                    group.create_task(parts.reconciler.run(parts.heart.claimed, parts.reader.complete))

    async def claimed(self) -> None:
        """Wait until the host is open and ours to act on."""
        await self._open.wait()
        assert self._parts is not None
        await self._parts.heart.claimed.wait()

    async def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Before `run` is cancelled: end what is being done, and report it."""
        if self._parts is not None:
            await self._parts.reconciler.drain(timeout_s)

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[Facts]:
        host = self._host
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(host.journal.close)
            await host.journal.open()
            stack.push_async_callback(host.network.close)
            await host.network.open()
            stack.push_async_callback(host.hypervisor.close)
            yield await host.hypervisor.open()

    async def _subscribe(self, parts: _Parts) -> None:
        """Listen before anything is claimed or read; a server that is away now is waited for."""
        await parts.heart.subscribe()
        await parts.reader.subscribe()
        await parts.reporter.subscribe()
        await parts.answering.subscribe()
        while True:
            try:
                await self._process.bus.settle()
            except Unavailable as error:
                self._log.warning("subscribing-waits", error=error.message)
                await asyncio.sleep(self._process.rng.uniform(0.5, 1.5))
            else:
                return


class _Parts:
    """What exists once the host is open."""

    def __init__(self, process: Process, host: Host, facts: Facts, log: Any) -> None:
        bus, rng = process.bus, process.rng
        self.process, self.host, self.facts = process, host, facts
        self.session = f"{rng.getrandbits(96):024x}"
        self.desired = DesiredState(host.name, host.journal.incarnation)
        self.captures = Captures(host.recorder, host.book, log)
        self.links = HostLinks(
            host.network, self.desired, host.underlay, log, captured=self.captures, leases=host.leases
        )
        self.reporter = Reporter(bus, host.name, self.session, log, process.metrics)
        self.reporter.ended_captures = lambda: self.captures.ended
        cache = host.cache(process.blobs)
        self.reconciler = Reconciler(
            desired=self.desired,
            journal=host.journal,
            hypervisor=host.hypervisor,
            links=self.links,
            reporter=self.reporter,
            machine=host.machine,
            cache=cache,
            limits=host.limits,
            rng=rng,
            log=log,
            metrics=process.metrics,
        )
        self.answering = Answering(
            bus, host.name, answers_of(self._desk(cache)), log, up_to_date=process.up_to_date
        )
        self.reader = StateReader(
            bus,
            process.stream,
            self.desired,
            changed=self.reconciler.wake,
            done=self.reconciler.obeyed,
            gate=process.gate,
            rng=rng,
            log=log,
        )
        self.heart = Heart(
            bus,
            self.claim(),
            host.journal,
            pulse=self.pulse,
            acknowledged=self.acknowledged,
            gate=process.gate,
            rng=rng,
            log=log,
            metrics=process.metrics,
        )

    def _desk(self, cache: FileCache) -> Desk:
        """What questions are answered with."""
        host = self.host
        return Desk(
            host=host.name,
            hypervisor=host.hypervisor,
            access=host.access,
            machine=host.machine,
            desired=self.desired,
            cache=cache,
            blobs=self.process.blobs,
            captures=self.captures,
            programs=host.programs or NoPrograms(host.name),
            offered=host.offered,
            hold=self.reconciler.hold,
            images=host.images,
            health=host.health,
            journal=host.journal,
            claim=self.claim,
        )

    def measured(self) -> AbstractContextManager[None]:
        """Have our gauges read for as long as the block runs."""
        read = readings_of(
            self.desired, self.heart, self.reconciler, self.reporter, self.links, self.captures
        )
        return self.process.metrics.reading(read)

    def claim(self) -> Claim:
        """What the worker says of itself before it may act."""
        host = self.host
        return Claim(
            host=host.name,
            incarnation=host.journal.incarnation,
            session=self.session,
            version=self.process.version,
            role=host.role,
            machine=host.machine.identity,
            underlay=host.underlay,
            capacity=host.machine.capacity(),
        )

    def acknowledged(self, ack: HeartbeatAck) -> None:
        """Compare what the leader thinks that we hold with what we hold."""
        self.reader.compare(ack.store, ack.stored, ack.sequence)

    def pulse(self) -> Heartbeat:
        """How the host is now."""
        host, readings = self.host, self.host.machine.readings(asyncio.get_running_loop().time())
        stored, sequence = self.desired.counted()
        return Heartbeat(
            host=host.name,
            incarnation=host.journal.incarnation,
            session=self.session,
            version=self.process.version,
            role=host.role,
            underlay=host.underlay,
            capacity=host.machine.capacity(),
            limit=host.quota,
            ours=self.desired.load(),
            foreign=self.reconciler.foreign,
            accelerator=self.facts.accelerator,
            warnings=tuple(self.warnings())[:_MAX_WARNINGS],
            load_average=readings.load_average,
            memory_used_mib=readings.memory_used_mib,
            rx_bytes_s=readings.rx_bytes_s,
            tx_bytes_s=readings.tx_bytes_s,
            uptime_s=readings.uptime_s,
            reports=self.reporter.number,
            stored=stored,
            sequence=sequence,
            seen_store=host.journal.seen.store,
            seen_epoch=host.journal.seen.epoch,
            seen_nonce=host.journal.seen.nonce,
            held_back=self.heart.held_back,
            captures=self.captures.count,
            ended_captures=self.captures.ended,
        )

    def warnings(self) -> list[str]:
        """What an operator should know, the worst first."""
        strangers, poison = self.desired.strangers(), self.reader.poison
        found = [
            self.heart.held_back,
            f"degraded: {self.reconciler.degraded}" if self.reconciler.degraded else "",
            f"network: {self.links.trouble}" if self.links.trouble else "",
            f"{strangers} records are for another incarnation of this host" if strangers else "",
            f"{poison} stored records could not be read" if poison else "",
            *self.facts.warnings,
        ]
        return [warning for warning in found if warning]
