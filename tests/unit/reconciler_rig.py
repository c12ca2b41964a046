"""A reconciler over simulated guests and links that may be told to hold, to be busy, or to break."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import structlog

from shoal import codec, subjects
from shoal.bus.memory_blobs import MemoryBlobs
from shoal.bus.protocol import Bus
from shoal.core.ifnames import guest_tap
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, Port, Power, Report, VMStatus
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.host_links import HostLinks
from shoal_worker.hypervisor import GuestSpec, Survey
from shoal_worker.journal import JournalError, MemoryJournal
from shoal_worker.machine import SimulatedMachine
from shoal_worker.network import GuestTap, Links, NetworkError
from shoal_worker.reconciler import Limits, Reconciler
from shoal_worker.reporter import Reporter
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

DEADLINE_S = 30.0


async def soon(condition: Callable[[], object]) -> None:
    """Let the loop turn until something holds that nothing tells of."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # nothing tells of it
            await asyncio.sleep(0)


class RecordingBus:
    """Takes reports; there is nobody else on it."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.vms: dict[str, VMStatus] = {}
        self.news = asyncio.Event()

    async def publish(self, subject: str, body: bytes, **_: Any) -> None:
        assert subject == subjects.report("h")
        report = codec.decode(body, Report)
        self.reports.append(report)
        self.vms.update({status.name: status for status in report.vms})
        self.news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def until_states(self, **states: str) -> None:
        await self.until(lambda: {n: self.vms[n].state for n in states if n in self.vms} == states)


class Hypervisor(SimulatedHypervisor):
    """Counts creations, and may be told to hold, to be busy, or to break."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most_at_once = self.created = self.surveys = 0
        self.hold: dict[str, asyncio.Event] = {}
        self.raises: dict[str, Exception] = {}

    def looked_since(self, surveys: int) -> bool:
        return self.surveys > surveys

    async def survey(self) -> Survey:
        self.surveys += 1
        return await super().survey()

    async def create(self, spec: GuestSpec) -> None:
        self.at_once += 1
        self.created += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if spec.name in self.hold:
                await self.hold[spec.name].wait()
            await asyncio.sleep(0)
            error = self.raises.pop(spec.name, None)
            if error is not None:
                raise error
            await super().create(spec)
        finally:
            self.at_once -= 1


class Network(SimulatedNetwork):
    """May be told that its links cannot be listed, and of what fails over guest taps of some names."""

    trouble = ""

    def __init__(self, kernel: SimulatedKernel) -> None:
        super().__init__(kernel)
        self.faults: dict[str, str] = {}

    async def observe(self) -> Links:
        if self.trouble:
            raise NetworkError(self.trouble)
        return await super().observe()

    async def ensure_guest_tap(self, tap: GuestTap) -> None:
        if tap.tap in self.faults:
            raise ValueError(self.faults[tap.tap])
        await super().ensure_guest_tap(tap)


class Journal(MemoryJournal):
    """May be told that the disk is full, or slow."""

    full = ""
    takes_s = 0.0

    async def flush(self) -> None:
        await asyncio.sleep(self.takes_s)
        if self.full:
            raise JournalError(self.full)


class Rig:
    def __init__(self) -> None:
        self.bus = RecordingBus()
        self.hypervisor = Hypervisor()
        self.kernel = SimulatedKernel()
        self.network = Network(self.kernel)
        self.journal = Journal("inc")
        self.desired = DesiredState("h", "inc")
        log = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        )
        self.reporter = Reporter(cast("Bus", self.bus), "h", "s", log)
        self.links = HostLinks(self.network, self.desired, "10.0.0.1", log)
        self.reconciler = Reconciler(
            desired=self.desired,
            journal=self.journal,
            hypervisor=self.hypervisor,
            links=self.links,
            reporter=self.reporter,
            machine=SimulatedMachine("h"),
            cache=SimulatedCache(MemoryBlobs()),
            limits=Limits(retry_s=0.01, relist_s=60),
            rng=random.Random(1),
            log=log,
        )
        self.claimed = asyncio.Event()
        self.claimed.set()
        self._sequence = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.network.open()
        tasks = [
            asyncio.create_task(self.reconciler.run(self.claimed)),
            asyncio.create_task(self.reporter.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def want(
        self,
        name: str,
        *,
        revision: int = 1,
        power: Power = "paused",
        instance: str = "",
        ports: bool = True,
    ) -> None:
        instance = instance or f"i-{name}"
        port = Port(bridge="b", vlan=5, segment="shp-b", tap=guest_tap(instance, 0), mac="m", driver="e1000")
        record = LaunchRecord(
            namespace="foo",
            name=name,
            id=0,
            instance=instance,
            revision=revision,
            power=power,
            host="h",
            incarnation="inc",
            uuid="u",
            config=VMConfig(),
            ports=(port,) if ports else (),
        )
        self._sequence += 1
        self.desired.merge(subjects.launch("h", "foo", name), self._sequence, record)
        self.reconciler.wake()

    def guests(self) -> dict[str, str]:
        return {guest.name: guest.state for guest in self.hypervisor.kept.guests.values()}
