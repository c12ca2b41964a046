"""A worker that stands still for seconds says so when it goes on; its host was suspect at most, and is as before."""

import asyncio
import json
import os
import signal

from tests.component.soak_rig import held
from tests.waiting import eventually

import shoal
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
