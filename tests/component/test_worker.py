"""The worker's own service against a real nats-server, with simulated guests and links and a stand-in leader."""

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
from shoal.errors import Conflict, InvalidRequest
from shoal.messages.base import Failure
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
from shoal_worker.machine import SimulatedMachine
from shoal_worker.service import Host, Process, Worker
from shoal_worker.simulated_hypervisor import SimulatedGuests, SimulatedHypervisor
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


@pytest.fixture
async def leader(nats_url: str) -> AsyncIterator[Leader]:
    async with await connect(nats_url, name="leader") as bus:
        found = Leader(bus)
        await found.open()
        yield found


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


async def test_life_of_a_vm(nats_url: str, leader: Leader) -> None:
    """A VM is created, runs, pauses, ends and is forgotten as its record says, and its links come and go with it."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(segment())
        await leader.put(record())
        await leader.until_vm("i1", "BUILDING", 1)
        assert rig.guests.guests["i1"].state == "paused"
        assert rig.kernel.guest_taps[guest_tap("i1", 0)].segment == segment_bridge(VNI)
        assert rig.kernel.segments[segment_bridge(VNI)].peers == {"10.0.0.2"}
        await leader.put(record(revision=2, power="running"))
        running = await leader.until_vm("i1", "RUNNING", 2)
        assert running.pid
        await leader.put(record(revision=3, power="paused"))
        await leader.until_vm("i1", "PAUSED", 3)
        await leader.put(record(revision=4, power="off"))
        await leader.put(segment(2, removed=True, peers={}))
        await leader.until_vm("i1", "QUIT", 4)
        assert not rig.guests.guests
        await leader.put(record(revision=5, power="gone"))
        await leader.until("gone", lambda: leader.vms["i1"].gone)
        await leader.until("segment removed", lambda: not leader.segments[VNI].present)
        assert leader.segments[VNI].revision == 2
        assert not rig.kernel.guest_taps
        assert not rig.kernel.segments
    assert [report.number for report in leader.reports] == list(range(1, len(leader.reports) + 1))


async def test_heartbeats_tell_capacity_load_and_what_is_held(nats_url: str, leader: Leader) -> None:
    """A heartbeat bears the machine's size, the load of our VMs, and count and highest sequence of the records."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(segment())
        sequence = await leader.put(record(revision=1, power="running"))
        await leader.until("held", lambda: leader.beats[-1:] != [] and leader.beats[-1].stored == 2)
        beat = leader.beats[-1]
        assert (beat.capacity.cpus, beat.capacity.memory_mib) == (16, 65536)
        assert (beat.ours.vcpus, beat.ours.memory_mib, beat.ours.vms) == (2, 100, 1)
        assert beat.sequence == sequence
        assert (beat.incarnation, beat.underlay) == (INCARNATION, "10.0.0.1")


async def test_vm_waits_for_its_segment(nats_url: str, leader: Leader) -> None:
    """A VM whose segment's record has not arrived is BUILDING with that reason, and is created when it has."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(record())
        await leader.until(
            "waiting",
            lambda: "waiting for segment lan/100" in leader.vms["i1"].reason if leader.vms else False,
        )
        assert not rig.guests.guests
        await leader.put(segment())
        await leader.until_vm("i1", "BUILDING", 1)
        assert leader.vms["i1"].reason == ""


async def test_lost_republish_is_healed_by_the_acknowledgement(nats_url: str, leader: Leader) -> None:
    """A record whose republished message never came is read when an acknowledgement shows a difference."""
    rig = Rig()
    async with rig.worker(nats_url) as bus:
        await leader.until("claimed", lambda: len(leader.beats) > 0)
        # deaf to what is stored from now on
        for subscription in list(bus.client._subs.values()):
            if subscription.subject.startswith(subjects.stored("shoal.launch.")):
                await subscription.unsubscribe()
        await bus.settle()
        await leader.put(segment())
        sequence = await leader.put(record())
        leader.holds = (2, sequence)
        await leader.until_vm("i1", "BUILDING", 1)
        await leader.until("held", lambda: leader.beats[-1].sequence == sequence)


async def test_restarted_worker_adopts_by_instance(nats_url: str, leader: Leader) -> None:
    """A new worker over the same guests and journal neither creates nor resumes anything, and reports them."""
    rig = Rig()
    await leader.put(segment())
    await leader.put(record(revision=2, power="running"))
    async with rig.worker(nats_url):
        await leader.until_vm("i1", "RUNNING", 2)
    guest = rig.guests.guests["i1"]
    leader.vms.clear()
    async with rig.worker(nats_url):
        await leader.until_vm("i1", "RUNNING", 2)
        assert rig.guests.guests["i1"] is guest
        inventory = await leader.inventory()
        assert [(vm.instance, vm.state) for vm in inventory.vms] == [("i1", "RUNNING")]
        assert [(s.vni, s.present) for s in inventory.segments] == [(VNI, True)]
    assert leader.claims[0].session != leader.claims[1].session


async def test_record_for_another_incarnation_is_not_acted_on(nats_url: str, leader: Leader) -> None:
    """A record written for another incarnation of the host has no effect, and a warning says that it is there."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(segment())
        await leader.put(record("old", instance="i0", incarnation="inc-0"))
        await leader.put(record())
        await leader.until_vm("i1", "BUILDING", 1)
        assert set(rig.guests.guests) == {"i1"}
        await leader.until(
            "warned", lambda: any("another incarnation" in w for w in leader.beats[-1].warnings)
        )


async def test_poison_record_is_set_aside(nats_url: str, leader: Leader) -> None:
    """Random bytes and somebody else's record under our subjects are reported; the ones after them are obeyed."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(segment())
        await leader.state.put(Write(subjects.launch(HOST, "foo", "bad"), b"\x81\xff"))
        await leader.state.put(Write(subjects.launch(HOST, "foo", "bomb"), b"\x80" * 70_000))
        await leader.state.put(Write(subjects.launch(HOST, "foo", "liar"), codec.encode(record("other"))))
        await leader.put(record())
        await leader.until_vm("i1", "BUILDING", 1)
        await leader.until("warned", lambda: any("3 stored records" in w for w in leader.beats[-1].warnings))


async def test_unknown_guest_is_kept_and_reported_as_orphan(nats_url: str, leader: Leader) -> None:
    """A guest that no record names is left alone with its tap, and is in the inventory as an orphan."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(segment())
        await leader.put(record(power="running"))
        await leader.until_vm("i1", "RUNNING", 1)
    await leader.state.purge(subjects.launch(HOST, "foo", "a"), below=1000)
    leader.vms.clear()
    async with rig.worker(nats_url):
        await leader.until("orphan", lambda: "i1" in leader.vms and leader.vms["i1"].orphan)
        assert rig.guests.guests["i1"].state == "running"
        assert guest_tap("i1", 0) in rig.kernel.guest_taps
        assert segment_bridge(VNI) in rig.kernel.segments


async def test_purged_tombstone_is_forgotten(nats_url: str, leader: Leader) -> None:
    """Once the tombstone of a VM was obeyed and purged, the worker holds nothing of it any more."""
    rig = Rig()
    async with rig.worker(nats_url):
        sequence = await leader.put(record(ports=(), power="gone"))
        await leader.until("gone", lambda: "i1" in leader.vms and leader.vms["i1"].gone)
        await leader.state.purge(subjects.launch(HOST, "foo", "a"), below=sequence + 1)
        leader.holds = (0, 0)
        await leader.until("forgotten", lambda: leader.beats[-1].stored == 0)


async def test_deleted_tombstone_is_forgotten_and_stays_gone(nats_url: str, leader: Leader) -> None:
    """An empty body ends a tombstone that was obeyed; an old record of that instance then starts nothing."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(record(ports=(), power="gone", revision=3))
        await leader.until("gone", lambda: "i1" in leader.vms and leader.vms["i1"].gone)
        await leader.state.put(Write(subjects.launch(HOST, "foo", "a"), b""))
        await leader.until("forgotten", lambda: leader.beats[-1].stored == 0)
        await leader.put(record(ports=(), power="running", revision=2))
        await leader.put(record("b", instance="i2", ports=()))
        await leader.until_vm("i2", "BUILDING", 1)
        assert set(rig.guests.guests) == {"i2"}


async def test_host_tap_comes_and_goes(nats_url: str, leader: Leader) -> None:
    """A host tap is made in its segment with its address, and its tombstone removes it and is acknowledged."""
    rig = Rig()
    tap = TapRecord(
        namespace="foo",
        tap="mega_tap0",
        revision=1,
        host=HOST,
        incarnation=INCARNATION,
        bridge="lan",
        vlan=100,
        vni=VNI,
        segment=segment_bridge(VNI),
        ip="10.1.0.1/24",
    )
    async with rig.worker(nats_url):
        await leader.put(segment())
        await leader.put(tap)
        await leader.until("up", lambda: "mega_tap0" in leader.taps and leader.taps["mega_tap0"].up)
        assert rig.kernel.host_taps["mega_tap0"].ip == "10.1.0.1/24"
        await leader.put(msgspec.structs.replace(tap, revision=2, removed=True))
        await leader.until("gone", lambda: leader.taps["mega_tap0"].gone)
        assert not rig.kernel.host_taps
        assert leader.taps["mega_tap0"].revision == 2


async def test_claimed_host_is_refused(nats_url: str, leader: Leader) -> None:
    """A worker whose claim meets a conflict ends with the leader's message and has done nothing."""
    rig = Rig()
    leader.refuse = Conflict("cannot claim host mm1: another worker has it")
    await leader.put(record(ports=()))
    async with await connect(nats_url, name="worker") as bus, asyncio.timeout(DEADLINE_S):
        with pytest.RaisesGroup(Conflict, flatten_subgroups=True):
            await rig.service(bus).run()
    assert not rig.guests.guests


async def test_older_leader_is_not_obeyed(nats_url: str, leader: Leader) -> None:
    """A leader with a lower epoch than one seen in the same store is told so, and nothing is done for it."""
    rig = Rig()
    leader.epoch = 5
    async with rig.worker(nats_url):
        await leader.until("acknowledged", lambda: len(leader.beats) > 1)
    leader.epoch = 4
    await leader.put(record(ports=()))
    leader.beats.clear()
    async with rig.worker(nats_url):
        await leader.until(
            "held back", lambda: any("went backwards" in w for beat in leader.beats for w in beat.warnings)
        )
        assert leader.beats[-1].seen_epoch == 5
        assert not rig.guests.guests
        leader.epoch = 6
        await leader.until_vm("i1", "BUILDING", 1)


async def test_inventory_answers_json_to_json_and_refuses_nonsense(nats_url: str, leader: Leader) -> None:
    """The inventory comes in the encoding of the question; a body that does not fit is a typed failure."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(record(ports=()))
        await leader.until_vm("i1", "BUILDING", 1)
        subject = subjects.host_request(HOST, "inventory")
        answer = await leader.bus.request(subject, b'{"limit": 1}', timeout_s=5)
        assert answer.body.startswith(b"{")
        assert codec.decode(answer.body, Inventory).vms[0].name == "a"
        answer = await leader.bus.request(subject, b"[1]", timeout_s=5)
        assert isinstance(codec.error_of(codec.decode(answer.body, Failure)), InvalidRequest)
