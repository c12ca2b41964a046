"""What a worker tells of the records that it holds, after a restart too, and a store that is lost while it is away."""

import contextlib
import shutil

import pytest
from tests.component.worker_rig import HOST, INCARNATION, VNI, Leader, Rig, record, segment
from tests.waiting import eventually

import shoal
from shoal import codec, subjects
from shoal.bus.connection import connect
from shoal.errors import ShoalError
from shoal.messages.config import ConfigureVM
from shoal.messages.doctor import RepairCluster
from shoal.messages.hosts import AddHosts, ListMesh
from shoal.messages.repair_requests import HeldRecords, ListHeld
from shoal.testing import cluster

NATS = "nats-server"


async def held(bus):
    answer = await bus.request(subjects.host_request(HOST, "held"), codec.encode(ListHeld()), timeout_s=10)
    return codec.decode(answer.body, HeldRecords)


async def test_a_restarted_worker_holds_what_the_store_has_lost(nats_url):
    """Records are in its journal, guests are looked at anew; what was ended for good is told as that."""
    rig = Rig()
    async with await connect(nats_url, name="leader") as bus:
        leader = Leader(bus)
        await leader.open()
        running, gone = record(power="running"), record("b", instance="i2")
        async with rig.worker(nats_url):
            await leader.put(segment())
            await leader.put(running)
            await leader.put(gone)
            await leader.until_vm("i1", "RUNNING", 1)
            await leader.until_vm("i2", "BUILDING", 1)
            last = await leader.put(record("b", instance="i2", revision=2, power="gone"))
            await leader.until("i2 is gone", lambda: leader.vms["i2"].gone)
            now = await held(bus)
            assert now.launches[:1] == (running,)
            assert [each.vni for each in now.segments] == [VNI]
            assert (now.incarnation, now.underlay, now.seen_store) == (INCARNATION, "10.0.0.1", "s1")
        for subject in (subjects.launch(HOST, "foo", "a"), subjects.launch(HOST, "foo", "b")):
            await leader.state.purge(subject, below=last + 1)
        leader.epoch = 0  # a leader that knows less: the worker holds itself back, and no round is made
        async with rig.worker(nats_url):
            await leader.until("it holds itself back", lambda: bool(leader.beats[-1].held_back))
            found = await held(bus)
            assert found.launches == (running,)
            assert {(each.instance, each.state, each.gone) for each in found.vms} == {
                ("i1", "RUNNING", False),
                ("i2", "QUIT", True),
            }


@pytest.mark.timeout(300)
async def test_a_store_lost_while_a_worker_was_away_is_rebuilt_from_its_journal(tmp_path):
    """The worker comes back to an empty store, and its VM, which ran all the time, has its record and runs on."""
    rig, store = Rig(), tmp_path / "store"
    async with cluster("mm9", store=store) as running, shoal.connect(running.url, patience_s=60) as client:
        red = client.namespace("red")

        async def known():
            return HOST in {row.host for row in (await client.call(ListMesh())).items}

        async with rig.worker(running.url):
            await eventually(known, "the worker's host is alive")
            await red.create()
            await client.call(AddHosts(hosts=HOST), namespace="red")
            await client.call(ConfigureVM(field="schedule", values=(HOST,)), namespace="red")
            await red.launch("a")
            await red.start()
        [before] = await red.vms()
        [guest] = rig.guests.guests.values()
        running.kill("orchestrator")
        running.kill(NATS)
        shutil.rmtree(store)
        running.start(NATS)
        running.start("orchestrator")
        async with rig.worker(running.url):

            async def repaired():
                with contextlib.suppress(ShoalError):
                    done = await client.call(RepairCluster(sure="yes"))
                    return any(step.object == f"vm red/a on {HOST}" for step in done.items)
                return False

            await eventually(repaired, "the record is written")

            async def same():
                with contextlib.suppress(ShoalError):
                    [row] = await red.vms()
                    return (row.instance, row.state, row.pid) == (before.instance, "RUNNING", guest.pid)
                return False

            await eventually(same, "it runs on under its record")
            assert list(rig.guests.guests.values()) == [guest]
            await red.kill("a")
            assert not any(guest.pid for guest in rig.guests.guests.values())
