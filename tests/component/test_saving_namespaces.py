"""Saving a namespace with simulated hosts: what may go wrong in the middle leaves nothing half named and nothing paused."""

import asyncio

import pytest
from tests.waiting import eventually

import shoal
from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal.errors import Refused
from shoal.messages.disks import CreateDisk
from shoal.messages.guests import AddHotplug, RemoveHotplug
from shoal.messages.saving import SaveNamespace, ShowSave
from shoal.testing import cluster

pytestmark = pytest.mark.timeout(200)


async def states(ns):
    return {row.name: row.state for row in await ns.vms()}


async def saved(client):
    return [row.name for row in await client.files.list() if row.name.startswith("saved")]


async def test_one_vm_that_cannot_be_saved_leaves_no_names():
    """If one VM fails nothing of the others is named, all run on, and the next try works."""
    async with cluster("mm[0-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await client.call(CreateDisk(form="qcow2", image="d", size="1M"))
        await ns.launch("vm[0-3]", VMConfig(disks=(DiskSpec("d"),)))
        await ns.start("vm[0-2]")
        await ns.call(AddHotplug(target="vm1", file="d"))
        with pytest.raises(Refused, match="nothing was saved: vm1: cannot save red/vm1: USB drives"):
            await ns.call(SaveNamespace(name="monday"))
        assert await saved(client) == []
        assert (await ns.call(ShowSave())).failed
        running_again = {"vm0": "RUNNING", "vm1": "RUNNING", "vm2": "RUNNING", "vm3": "BUILDING"}

        async def all_as_before():
            return await states(ns) == running_again

        await eventually(all_as_before, "all run as before")
        await ns.call(RemoveHotplug(target="vm1", disk="all"))
        assert len((await ns.call(SaveNamespace(name="monday"))).files) == 9
        assert await states(ns) == running_again


async def test_an_orchestrator_that_ends_while_it_saves():
    """The next one lets the VMs go on that were paused, names nothing, and says that the save failed."""
    async with cluster("mm[0-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("vm[0-199]")
        await ns.start("all")
        saving = asyncio.create_task(ns.call(SaveNamespace(name="monday")))

        async def begun():
            return (await ns.call(ShowSave())).total == 200 or saving.done()

        await eventually(begun, "it has begun")
        assert not saving.done()
        # Else the next orchestrator would be asked again, and save them all.
        saving.cancel()
        running.kill("orchestrator")
        running.start("orchestrator")
        await running.ready()
        assert "an orchestrator ended" in (await ns.call(ShowSave())).failed

        async def all_run():
            return set((await states(ns)).values()) == {"RUNNING"}

        await eventually(all_run, "all run")
        assert await saved(client) == []
