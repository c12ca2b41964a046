"""A leader's term without a bus: the real store over streams in memory, and hosts that are said to be alive."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, TypeVar

import msgspec
from tests.unit.repair_cases import status

from shoal import codec, subjects
from shoal.bus.memory_bus import MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.bus.protocol import Message
from shoal.core.load import Capacity
from shoal.core.ranges import expand
from shoal.core.vmconfig import VMConfig
from shoal.errors import ShoalError
from shoal.messages.desired import Heartbeat, LaunchRecord, Power, Report, State, VMStatus
from shoal_orchestrator.background import Background
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.leases import Lead
from shoal_orchestrator.core.plans import chunks_of
from shoal_orchestrator.core.records import ClusterRecord, PlanRecord, QueueEntry
from shoal_orchestrator.event_log import EventLog
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.leader import Call, Leader
from shoal_orchestrator.store import Store

R = TypeVar("R")
CAPACITY = Capacity(cpus=100_000, memory_mib=1 << 30)


class Term:
    """One term: the leader, its background, and what it was told that failed beside the requests."""

    def __init__(self, stream: MemoryState, bus: Any, workers: Any) -> None:
        self.stream = stream
        self.store = Store(stream, random.Random(1))
        self.inventory = HostInventory(bus, self.store, self.spawn)
        ids = random.Random(2)
        self.leader = Leader(
            store=self.store,
            inventory=self.inventory,
            events=EventLog(self.store, ids),
            shelf=None,  # type: ignore[arg-type]  # no files here
            workers=workers,
            ids=ids,
            spawn=self.spawn,
        )
        self.background = Background(self.leader)
        self.failed: list[str] = []
        self._reports = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        async def guarded() -> None:
            try:
                await work
            except ShoalError as error:
                self.failed.append(f"{name}: {error.message}")

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def end(self) -> None:
        """As a process that is killed: nothing goes on."""
        for task in self._tasks:
            task.cancel()

    def call(self, request_id: str = "") -> Call:
        return Call(self.leader, request_id, lambda *_: None)

    async def put(self, *records: msgspec.Struct) -> None:
        """Store records that no request has made."""
        changes = Changes()
        changes.put(*records)
        await self.store.submit(changes)

    def alive(self, *hosts: str) -> None:
        """These hosts are heard."""
        for host in hosts:
            self.inventory.begin_session(host, f"session-{host}")
            seen = self.inventory.hosts[host]
            seen.state, seen.reports = "alive", 0
            seen.heartbeat = Heartbeat(
                host=host, incarnation="inc", session=f"session-{host}", version="1", capacity=CAPACITY
            )

    def report(self, host: str, number: int, *statuses: VMStatus) -> Message:
        """The report of a host, as it arrives."""
        report = Report(host=host, session=f"session-{host}", number=number, vms=statuses)
        return Message(subjects.report(host), codec.encode(report), "", {})

    def hosts_obey(self) -> None:
        """Every host that is alive reports that all is as its records say."""
        self._reports += 1
        obeyed: dict[Power, State] = {"paused": "PAUSED", "running": "RUNNING", "off": "QUIT", "gone": "QUIT"}
        for host in self.inventory.alive():
            statuses = [
                status(record, obeyed[record.power], gone=record.power == "gone")
                for record in self.store.model.records.values()
                if isinstance(record, LaunchRecord) and record.host == host
            ]
            self.hear(self.report(host, self._reports, *statuses))

    async def until_done(self, work: Coroutine[Any, Any, R]) -> R:
        """Do the work, with hosts that obey."""
        doing = asyncio.ensure_future(work)
        async with asyncio.timeout(20):
            while not doing.done():
                self.hosts_obey()
                await asyncio.wait((doing,), timeout=0.01)
        return doing.result()

    async def until_quiet(self) -> None:
        """Wait until nothing waits to be stored, several times over."""
        for _ in range(50):
            await self.store.settled()
            await asyncio.sleep(0)

    def hear(self, message: Message) -> None:
        """A report arrives."""
        self.inventory._on_report(message)

    def wanted(self) -> list[LaunchRecord]:
        """The records that tell a host to run a VM."""
        records: Iterable[msgspec.Struct] = self.store.model.records.values()
        return [each for each in records if isinstance(each, LaunchRecord) and each.power == "running"]


def planned(names: str, host: str) -> tuple[PlanRecord, list[msgspec.Struct]]:
    """A plan that is to launch VMs of namespace red on a host, and all of its records."""
    count = len(expand(names))
    entry = QueueEntry(namespace="red", entry=1, count=count, names=names, config=VMConfig(), plan="p")
    chunks = chunks_of("red", "p", [entry], [[host] * count], {})
    plan = PlanRecord(
        namespace="red",
        plan="p",
        revision=1,
        state="running",
        entries=(1,),
        chunks=len(chunks),
        total=count,
        hosts=1,
    )
    return plan, [entry, *chunks, plan]


@contextlib.asynccontextmanager
async def term(
    *records: msgspec.Struct, stream: MemoryState | None = None, workers: Any = None
) -> AsyncIterator[Term]:
    """A term that has the lead; the next one over the same `stream` takes it from the one before.

    `workers` answers questions to hosts, as `shoal_orchestrator.workers.Workers` does.
    """
    bus = MemoryServer().connect("t")
    if stream is None:
        server = MemoryServer()
        bus = server.connect("t")
        stream = MemoryState(bus, MemoryStreams(server))
    one = Term(stream, bus, workers)
    lead = Lead(await stream.get(subjects.FENCE), await stream.get(subjects.LEASE))
    await one.store.take_over(lead)
    running = [asyncio.ensure_future(one.store.run()), asyncio.ensure_future(one.store.tombstones.run())]
    try:
        if one.store.model.cluster is None:
            await one.put(ClusterRecord(store="s", head="head"), *records)
        yield one
    finally:
        one.end()
        for task in running:
            task.cancel()
        await asyncio.wait(running)
