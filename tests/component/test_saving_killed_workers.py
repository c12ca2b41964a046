"""A worker that is killed while VMs are saved: no file looks whole that is not, and the next try works."""

import asyncio
import os
import signal

import pytest
from tests.waiting import eventually

import shoal
from shoal.core.vmconfig import VMConfig
from shoal.errors import ShoalError
from shoal.messages.saving import ListSaves, SaveNamespace, SaveVM, ShowSave
from shoal.testing import cluster

pytestmark = pytest.mark.timeout(300)
#: on one host, a few of which are saved at a time
VMS = 200


async def files(client):
    return [row.name for row in await client.files.list() if row.name.startswith("saved")]


async def filled(client):
    """A namespace with VMs on mm1, whose worker is a process of its own, and one on mm2, and all run."""
    ns = client.namespace("red")
    await ns.create()
    await ns.launch(f"vm[1-{VMS}]", VMConfig(schedule="mm1"))
    await ns.launch("other", VMConfig(schedule="mm2"))
    await ns.start("all")
    return ns


async def begin_again(running, ns):
    """Start the killed worker; its simulated guests may have died with it: the namespace is cleared."""
    running.start("apart")
    await running.ready()
    await ns.clear()
    await ns.create()


async def test_a_worker_that_is_killed_while_a_namespace_is_saved():
    """The command ends with an error that names the host, no file has a name, and the same save works later."""
    async with cluster("mm[1-2]", apart="mm1") as running, shoal.connect(running.url) as client:
        ns = await filled(client)
        saving = asyncio.create_task(ns.call(SaveNamespace(name="monday")))

        async def half_done():
            assert not saving.done(), "too fast for this test"
            return 0 < (await ns.call(ShowSave())).completed < VMS

        await eventually(half_done, "some are saved and some are not")
        running.kill("apart")
        with pytest.raises(ShoalError, match=r"nothing was saved: .*mm1") as caught:
            await asyncio.wait_for(saving, 60)
        assert "\n" not in caught.value.message
        assert await files(client) == []
        assert "nothing was saved" in (await ns.call(ShowSave())).failed
        await begin_again(running, ns)
        await filled(client)
        done = await ns.call(SaveNamespace(name="monday"))
        assert len(done.files) == VMS + 2
        assert sorted(await all_files(client)) == sorted(done.files)


async def all_files(client):
    return [row.name for row in await client.files.list("saved/monday")]


async def test_a_worker_that_is_killed_while_it_is_to_save_a_vm():
    """The command ends with an error that names the host; what was saved before keeps its name and its content."""
    async with cluster("mm[1-2]", apart="mm1") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("web", VMConfig(schedule="mm1"))
        await ns.start("web")
        await ns.call(SaveVM(vm="web"))
        (before,) = await client.files.list("saved")
        os.kill(running.pid("apart"), signal.SIGSTOP)
        saving = asyncio.create_task(ns.call(SaveVM(vm="web")))

        async def asked():
            return [row.status for row in (await ns.call(ListSaves())).items] == ["active"]

        await eventually(asked, "the worker is asked")
        running.kill("apart")
        with pytest.raises(ShoalError, match="mm1"):
            await asyncio.wait_for(saving, 60)
        assert list(await client.files.list("saved")) == [before]
        assert [row.status for row in (await ns.call(ListSaves())).items] == ["failed"]
        await begin_again(running, ns)
        await ns.launch("web", VMConfig(schedule="mm1"))
        assert (await ns.call(SaveVM(vm="web"))).files == ("saved/web.state",)
