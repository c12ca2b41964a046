"""Hosts that are lost: nothing happens by itself, until an operator says that one is dead."""

import asyncio
import os
import signal

import pytest
from tests.waiting import eventually

import shoal
from shoal.errors import Conflict
from shoal.messages.config import ConfigureVM
from shoal.messages.hosts import ListMesh
from shoal.messages.recovery import ForgetHosts, SetRecovery
from shoal.testing import cluster

# leases run out and hosts are lost in real time, and a busy machine adds to it
pytestmark = pytest.mark.timeout(400)


async def placed(ns):
    return {row.name: (row.host, row.state) for row in await ns.vms()}


async def become(client, wanted, hosts=("mm1",)):
    """Wait until hosts are in a state."""

    async def look():
        rows = (await client.call(ListMesh(which="status"))).items
        return {row.state for row in rows if row.host in hosts} == {wanted}

    await eventually(look, f"{hosts} {wanted}")


async def test_vms_of_a_dead_host_are_launched_again_once_and_not_twice_when_it_comes_back():
    """A paused worker: LOST after 20 s, nothing moves; forgotten, its VM runs elsewhere; woken up, it gives it up."""
    async with cluster("mm[1-3]", apart="mm1") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        await ns.launch("b")
        await ns.launch("c")
        await ns.launch("d")
        await ns.start()
        others = {"b": ("mm2", "RUNNING"), "c": ("mm3", "RUNNING")}
        assert await placed(ns) == {"a": ("mm1", "RUNNING"), "d": ("mm1", "RUNNING"), **others}
        with pytest.raises(Conflict, match="heartbeats arrive"):
            await client.call(ForgetHosts(hosts="mm1", word="fenced"))
        os.kill(running.pid("apart"), signal.SIGSTOP)
        try:
            await become(client, "suspect")
            with pytest.raises(Conflict, match="cannot be forgotten yet"):
                await client.call(ForgetHosts(hosts="mm1", word="fenced"))
            await become(client, "lost")
            assert await placed(ns) == {"a": ("mm1", "LOST"), "d": ("mm1", "LOST"), **others}
            with pytest.raises(Conflict, match="host forget mm1 --fenced"):
                await ns.start("a")
            with pytest.raises(Conflict, match="may still have 2 VMs"):
                await client.call(ForgetHosts(hosts="mm1"))
            forgotten = await client.call(ForgetHosts(hosts="mm1", word="--fenced"))
            assert (forgotten.hosts, forgotten.vms) == ("mm1", 2)
            assert (await placed(ns))["a"] == ("mm1", "LOST")
            assert (await ns.start("a")).vms == "a"
            elsewhere = (await placed(ns))["a"]
            assert elsewhere in {("mm2", "RUNNING"), ("mm3", "RUNNING")}
        finally:
            os.kill(running.pid("apart"), signal.SIGCONT)
        await become(client, "alive")
        await asyncio.wait_for(removed_from(client, "mm1"), 30)
        # The host is one as any other again: what was not launched elsewhere is its own, and it takes new VMs.
        await client.call(ConfigureVM(field="schedule", values=("mm1",)), namespace="red")
        await ns.launch("e")
        await ns.start("e")
        mine = {"d": ("mm1", "RUNNING"), "e": ("mm1", "RUNNING")}
        assert await placed(ns) == {"a": elsewhere, **mine, **others}


async def removed_from(client, host):
    """Wait until the removal of a VM from a host is told of."""
    async for event in client.namespace("red").events(since=0):
        if event.event == "VMRemoved" and event.host == host:
            return


async def test_recovery_relaunch_acts_after_the_operators_word_and_by_the_next_leader_too():
    """With `ns recovery relaunch` VMs of a dead host come up elsewhere by themselves, paused ones paused."""
    async with cluster("mm[1-3]", apart="mm1") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await client.call(SetRecovery(action="relaunch"), namespace="red")
        assert (await client.call(SetRecovery(), namespace="red")).text == "relaunch"
        await ns.launch("vm[1-4]")
        await ns.start("vm[1-3]")
        before = await placed(ns)
        there = sorted(name for name, (host, _) in before.items() if host == "mm1")
        assert there == ["vm1", "vm4"]
        running.kill("apart")
        await become(client, "lost")
        assert {state for host, state in (await placed(ns)).values() if host == "mm1"} == {"LOST"}
        await client.call(ForgetHosts(hosts="mm1", word="fenced"))
        running.kill("orchestrator")
        running.start("orchestrator")

        async def recovered():
            found = await placed(ns)
            return found["vm1"][1] == "RUNNING" and found["vm4"][1] == "BUILDING" and found

        found = await eventually(recovered, "vm1 and vm4 are launched again")
        assert {found["vm1"][0], found["vm4"][0]} <= {"mm2", "mm3"}
        assert found["vm2"] == before["vm2"]


async def test_a_mass_loss_is_not_believed():
    """More hosts than fail by chance fall silent at once: they stay suspect, and it is said; an operator may act."""
    async with cluster("mm[1-6]", apart="mm[1-4]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        os.kill(running.pid("apart"), signal.SIGSTOP)
        silent = ("mm1", "mm2", "mm3", "mm4")
        try:
            await become(client, "suspect", silent)

            async def told():
                return "mass-loss" in running.log("orchestrator")

            await eventually(told, "the orchestrator says so")
            mesh = await client.call(ListMesh(which="status"))
            assert {row.state for row in mesh.items if row.host in silent} == {"suspect"}
            assert "4 hosts fell silent together" in " ".join(mesh.notes)
        finally:
            os.kill(running.pid("apart"), signal.SIGCONT)
        await become(client, "alive", silent)

        async def over():
            return "mass-loss-over" in running.log("orchestrator")

        await eventually(over, "that it is over is said too")
        assert not (await client.call(ListMesh(which="status"))).notes


async def test_a_pinned_vm_is_not_moved():
    """`vm config schedule` is obeyed: the VM stays LOST, and the error says why."""
    async with cluster("mm[1-3]", apart="mm1") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await client.call(ConfigureVM(field="schedule", values=("mm1",)), namespace="red")
        await ns.launch("a")
        running.kill("apart")
        await become(client, "lost")
        await client.call(ForgetHosts(hosts="mm1", word="fenced"))
        with pytest.raises(Conflict, match="mm1"):
            await ns.start("a")
        assert await placed(ns) == {"a": ("mm1", "LOST")}
