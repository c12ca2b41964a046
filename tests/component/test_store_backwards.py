"""A NATS store that is replaced by an older copy, or by an empty one: noticed, told, and no running VM is touched."""

import asyncio
import contextlib
import shutil

import pytest
from tests.waiting import eventually

import shoal
from shoal.errors import Refused, ShoalError
from shoal.testing import cluster

# leases run out and hosts are lost in real time, and a busy machine adds to it
pytestmark = pytest.mark.timeout(400)

NATS = "nats-server"


async def workers_act(running, word):
    """Whether the workers have logged something."""

    async def look():
        return word in running.log("workers")

    return await eventually(look, f"the workers say {word}")


async def test_an_older_copy_freezes_the_cluster(tmp_path):
    """Nothing is changed any more, the error says why and what to do; guests of the lost time run on."""
    store, copy = tmp_path / "store", tmp_path / "copy"
    async with cluster("mm[1-2]", store=store) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        running.kill(NATS)
        shutil.copytree(store, copy)
        running.start(NATS)
        await ns.launch("b")
        await ns.start()
        running.kill(NATS)
        shutil.rmtree(store)
        shutil.copytree(copy, store)
        running.start(NATS)

        async def frozen():
            return '"frozen"' in running.log("orchestrator")

        await eventually(frozen, "the orchestrator notices")
        with pytest.raises(Refused, match=r"went backwards.*shoal doctor"):
            await ns.launch("c")
        with pytest.raises(Refused, match="went backwards"):
            await ns.kill("a")
        await workers_act(running, "held-back")
        await ns.vms()
        assert '"done": "destroy' not in running.log("workers")


async def test_an_empty_store_gets_no_hosts_that_have_vms(tmp_path):
    """A new store knows nothing: hosts that have VMs of the old one do nothing for it, and say so."""
    store = tmp_path / "store"
    async with cluster("mm[1-2]", store=store) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        await ns.launch("b")
        await ns.start()
        running.kill("orchestrator")
        running.kill(NATS)
        shutil.rmtree(store)
        running.start(NATS)
        running.start("orchestrator")

        async def told():
            with contextlib.suppress(ShoalError):
                found = (await client.check()).items
                return any(one.object == "host mm[1-2]" and "belongs to store" in one.found for one in found)
            return False

        await eventually(told, "doctor says of both hosts that they hold themselves back")
        with pytest.raises(Refused, match=r"has VMs or taps of store .*`shoal doctor` tells how to go on"):
            await asyncio.wait_for(ns.create(), 60)
