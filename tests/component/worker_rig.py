"""A worker with simulated guests and links, and a stand-in leader that it talks to over a real server."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import structlog

from shoal import codec, subjects
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import NatsBus, connect
from shoal.bus.protocol import Message, Write
from shoal.bus.streams import JetStreamState
from shoal.core.ifnames import guest_tap, segment_bridge, segment_device
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict
from shoal.messages.desired import (
    Claim,
    Claimed,
    Heartbeat,
    HeartbeatAck,
    Inventory,
    InventoryRequest,
    LaunchRecord,
    Port,
    Power,
    Report,
    SegmentRecord,
    SegmentStatus,
    TapRecord,
    TapStatus,
    VMStatus,
)
from shoal_worker.journal import MemoryJournal
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.machine import SimulatedMachine
from shoal_worker.service import Host, Process, Worker
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

HOST = "mm1"
INCARNATION = "inc-1"
VNI = 4096 + 100
DEADLINE_S = 30.0


class Leader:
    """Grants claims, acknowledges heartbeats, writes records, remembers what is reported."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.state = JetStreamState(bus)
        self.claims: list[Claim] = []
        self.beats: list[Heartbeat] = []
        self.reports: list[Report] = []
        self.vms: dict[str, VMStatus] = {}
        self.taps: dict[str, TapStatus] = {}
        self.segments: dict[int, SegmentStatus] = {}
        self.refuse: Conflict | None = None
        self.epoch = 1
        #: what acknowledgements say; None: what the heartbeat says
        self.holds: tuple[int, int] | None = None
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        await self.state.ensure(replicas=1)
        await self.bus.subscribe(subjects.CLAIM, self._on_claim)
        await self.bus.subscribe(subjects.ALL_HEARTBEATS, self._on_heartbeat)
        await self.bus.subscribe(subjects.ALL_REPORTS, self._on_report)
        await self.bus.settle()

    def _answer(self, message: Message, body: bytes, headers: dict[str, str] | None = None) -> None:
        task = asyncio.ensure_future(self.bus.publish(message.reply, body, headers=headers))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_claim(self, message: Message) -> None:
        self.claims.append(codec.decode(message.body, Claim))
        if self.refuse is not None:
            body = codec.encode(codec.failure_of(self.refuse))
            self._answer(message, body, {"Nats-Service-Error": self.refuse.message})
        else:
            self._answer(message, codec.encode(Claimed(store="s1", epoch=self.epoch)))
        self._news.set()

    def _on_heartbeat(self, message: Message) -> None:
        beat = codec.decode(message.body, Heartbeat)
        self.beats.append(beat)
        stored, sequence = self.holds or (beat.stored, beat.sequence)
        ack = HeartbeatAck(store="s1", epoch=self.epoch, claimed=True, stored=stored, sequence=sequence)
        self._answer(message, codec.encode(ack))
        self._news.set()

    def _on_report(self, message: Message) -> None:
        report = codec.decode(message.body, Report)
        self.reports.append(report)
        self.vms.update({status.instance: status for status in report.vms})
        self.taps.update({status.tap: status for status in report.taps})
        self.segments.update({status.vni: status for status in report.segments})
        self._news.set()

    async def until(self, what: str, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(
                f"not within {DEADLINE_S} s: {what}; reported: {self.vms} {self.taps} {self.segments}"
            )

    async def until_vm(self, instance: str, state: str, revision: int) -> VMStatus:
        def reached() -> bool:
            status = self.vms.get(instance)
            return status is not None and (status.state, status.revision) == (state, revision)

        await self.until(f"{instance} {state} at {revision}", reached)
        return self.vms[instance]

    async def put(self, record: LaunchRecord | TapRecord | SegmentRecord) -> int:
        if isinstance(record, LaunchRecord):
            subject = subjects.launch(record.host, record.namespace, record.name)
        elif isinstance(record, TapRecord):
            subject = subjects.tap(record.host, record.namespace, record.tap)
        else:
            subject = subjects.tunnel(record.vni)
        return await self.state.put(Write(subject, codec.encode(record)))

    async def inventory(self) -> Inventory:
        subject = subjects.host_request(HOST, "inventory")
        answer = await self.bus.request(subject, codec.encode(InventoryRequest()), timeout_s=5)
        return codec.decode(answer.body, Inventory)


class Rig:
    """What outlives a worker: guests, links, journal."""

    def __init__(self) -> None:
        self.guests = SimulatedGuests()
        self.kernel = SimulatedKernel()
        self.journal = MemoryJournal(INCARNATION)
        self.rng = random.Random(1)

    def service(self, bus: NatsBus) -> Worker:
        gate = asyncio.Semaphore(8)
        process = Process(bus, JetStreamState(bus), NatsBlobs(bus), lambda: gate, self.rng, "test")
        host = Host(
            name=HOST,
            hypervisor=SimulatedHypervisor(self.guests),
            access=SimulatedAccess(self.guests),
            network=SimulatedNetwork(self.kernel),
            machine=SimulatedMachine(HOST),
            journal=self.journal,
            underlay="10.0.0.1",
        )
        return Worker(process, host, structlog.get_logger())

    @contextlib.asynccontextmanager
    async def worker(self, url: str) -> AsyncIterator[NatsBus]:
        async with await connect(url, name="worker") as bus:
            worker = self.service(bus)
            task = asyncio.create_task(worker.run())
            try:
                yield bus
                await worker.drain()
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def record(
    name: str = "a", *, instance: str = "i1", revision: int = 1, power: Power = "paused", **more: object
) -> LaunchRecord:
    port = Port(
        bridge="lan",
        vlan=100,
        vni=VNI,
        segment=segment_bridge(VNI),
        tap=guest_tap(instance, 0),
        mac="02:00:00:00:00:01",
        driver="e1000",
    )
    launch = LaunchRecord(
        namespace="foo",
        name=name,
        id=0,
        instance=instance,
        revision=revision,
        power=power,
        host=HOST,
        incarnation=INCARNATION,
        uuid="u",
        config=VMConfig(vcpus=2, memory_mib=100),
        ports=(port,),
    )
    return msgspec.structs.replace(launch, **more)


def segment(
    revision: int = 1, *, removed: bool = False, peers: dict[str, str] | None = None
) -> SegmentRecord:
    return SegmentRecord(
        vni=VNI,
        revision=revision,
        namespace="foo",
        bridge="lan",
        vlan=100,
        segment=segment_bridge(VNI),
        device=segment_device(VNI),
        peers={HOST: "10.0.0.1", "mm2": "10.0.0.2"} if peers is None else peers,
        removed=removed,
    )
