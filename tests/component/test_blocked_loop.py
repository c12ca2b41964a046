"""A worker that stands still for seconds says so when it goes on; its host was suspect at most, and is as before.

What it was asked meanwhile is not done late.
"""

import asyncio
import json
import os
import signal

from tests.component.soak_rig import held
from tests.waiting import eventually

import shoal
from shoal.core.vmconfig import VMConfig
from shoal.messages.guests import AddHotplug, ListHotplug
from shoal.messages.hosts import ListMesh
from shoal.testing import cluster


def stops(log):
    """The seconds of each time that a loop was found to have stood still."""
    lines = [json.loads(line) for line in log.splitlines() if '"loop-blocked"' in line]
    return [line["seconds"] for line in lines]


async def test_a_worker_that_stood_still_says_so_and_its_host_is_not_lost():
    """SIGSTOP until the host is suspect: afterwards its log says for how long, and its VMs are as they were."""
    async with cluster("mm[1-2]", apart="mm2", keep=True) as running, shoal.connect(running.url) as client:

        async def state(wanted):
            rows = (await client.call(ListMesh(which="status"))).items
            return {row.host: row.state for row in rows}["mm2"] == wanted

        ns = client.namespace("red")
        await ns.create()
        await ns.launch("vm[1-4]")
        await ns.start()
        guests = held(running)
        before = stops(running.log("apart"))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        os.kill(running.pid("apart"), signal.SIGSTOP)
        try:
            await eventually(lambda: state("suspect"), "the host is suspect")
            stopped_s = loop.time() - begun
        finally:
            os.kill(running.pid("apart"), signal.SIGCONT)
        await eventually(lambda: state("alive"), "the host is alive again")

        async def told():
            return stops(running.log("apart"))[len(before) :]

        seconds = await eventually(told, "the log says that the loop stood still")
        assert max(seconds) > stopped_s - 1
        assert '"now": "lost"' not in running.log("orchestrator")
        assert {row.state for row in await ns.vms()} == {"RUNNING"}
        assert held(running) == guests


async def test_what_was_asked_of_a_worker_that_stood_still_is_not_done_late(tmp_path):
    """A drive whose plugging in has timed out is not plugged in when the worker goes on, and can be after that."""
    async with cluster("mm[1-2]", apart="mm2", keep=True) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("vm1", VMConfig(schedule="mm2"))
        await ns.start()
        image = tmp_path / "x.img"
        image.write_bytes(b"x")
        add = AddHotplug(target="vm1", file=str(image))
        os.kill(running.pid("apart"), signal.SIGSTOP)
        try:
            (failure,) = (await ns.call(add)).failures
        finally:
            os.kill(running.pid("apart"), signal.SIGCONT)
        assert "does not answer" in failure.message

        async def again():
            # until its host is alive and its worker up to date
            return not (await ns.call(add)).failures

        await eventually(again, "a drive can be plugged in", 20)
        assert len((await ns.call(ListHotplug())).items) == 1
