"""The worker's own service against a real nats-server, with simulated guests and links and a stand-in leader."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from tests.component.worker_rig import DEADLINE_S, HOST, INCARNATION, VNI, Leader, Rig, record, segment

from shoal import codec, subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Write
from shoal.core.ifnames import guest_tap, segment_bridge
from shoal.errors import Conflict, InvalidRequest
from shoal.messages.base import Failure
from shoal.messages.desired import (
    Inventory,
    TapRecord,
)


@pytest.fixture
async def leader(nats_url: str) -> AsyncIterator[Leader]:
    async with await connect(nats_url, name="leader") as bus:
        found = Leader(bus)
        await found.open()
        yield found


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
        assert set(rig.guests.guests) == {"i1"}


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
        assert [guest.name for guest in rig.guests.guests.values()] == ["a"]


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
        # An earlier heartbeat may have been sent before the record came.
        before = len(leader.beats)
        await leader.state.purge(subjects.launch(HOST, "foo", "a"), below=sequence + 1)
        leader.holds = (0, 0)
        await leader.until("forgotten", lambda: leader.beats[before:] != [] and leader.beats[-1].stored == 0)
        assert (await leader.inventory()).vms == ()


async def test_deleted_tombstone_is_forgotten_and_stays_gone(nats_url: str, leader: Leader) -> None:
    """An empty body ends a tombstone that was obeyed; an old record of that instance then starts nothing."""
    rig = Rig()
    async with rig.worker(nats_url):
        await leader.put(record(ports=(), power="gone", revision=3))
        await leader.until("gone", lambda: "i1" in leader.vms and leader.vms["i1"].gone)
        before = len(leader.beats)
        await leader.state.put(Write(subjects.launch(HOST, "foo", "a"), b""))
        await leader.until("forgotten", lambda: leader.beats[before:] != [] and leader.beats[-1].stored == 0)
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
