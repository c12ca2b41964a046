"""Three NATS servers of which one stands still, or two are gone: what is asked meanwhile is done once, or refused clearly."""

import asyncio
import contextlib
import os
import signal

import pytest
from tests.component.soak_rig import held
from tests.waiting import eventually

import shoal
from shoal.errors import TimedOut
from shoal.messages.vms import LaunchVMs
from shoal.testing import cluster

# servers elect, and clients look for another one, in real time
pytestmark = pytest.mark.timeout(200)

#: up to 9 s until a server that stands still is left, 2 s for each try to come back to it, and 5 s until what was lost
#: there is asked again; and what a busy machine adds
GAP_S = 20.0
BUSY_S = 10.0


@contextlib.contextmanager
def paused(pid):
    """A process that is stopped for as long as the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def run_once_each(running, ns, names):
    """Wait until these VMs run, and see that there is one guest for each and none beside."""
    rows = await ns.wait(",".join(names), "RUNNING", timeout_s=60)
    assert sorted(row.name for row in await ns.vms()) == sorted(names)
    assert {row.instance: [(row.host, ns.name, row.name, "running")] for row in rows} == held(running)


async def test_a_paused_leader_of_the_state_stream_is_left_and_nothing_is_lost():
    """SIGSTOP of the server that leads the stream, with the orchestrator connected to it: launches go on within 20 s."""
    async with cluster("mm[1-3]", nats=3, keep=True) as running:
        server = await running.stream_leader()
        urls = dict(zip(("nats-server", "nats-server2", "nats-server3"), running.url.split(","), strict=True))
        running.kill("orchestrator")
        running.start("orchestrator", server=urls.pop(server))
        async with shoal.connect(",".join(urls.values())) as client:
            ns = client.namespace("red")
            await ns.create()
            await ns.launch("before")
            loop = asyncio.get_running_loop()
            names = ["before", "after", *(f"vm{number}" for number in range(10))]
            with paused(running.pid(server)):
                begun = loop.time()
                await asyncio.gather(*(ns.launch(name) for name in names[2:]))
                gap_s = loop.time() - begun
                await ns.launch("after")
                await ns.start()
            print(f"answered within {gap_s:.1f} s")
            assert gap_s < GAP_S + BUSY_S

            async def another_leads():
                return await running.stream_leader() not in ("", server)

            await eventually(another_leads, "another server leads the stream, and the woken one knows")
            await run_once_each(running, ns, names)


async def test_without_a_quorum_a_launch_ends_in_time_and_all_recovers_by_itself():
    """Two of three servers dead: an error at the caller's deadline, guests run on; afterwards a repeat is done once."""
    async with cluster("mm[1-3]", nats=3, keep=True) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        names = [f"before{number}" for number in range(3)]
        await ns.launch(",".join(names))
        await ns.start()
        guests = held(running)
        for server in ("nats-server2", "nats-server3"):
            running.kill(server)
        wanted = LaunchVMs(names="vm[0-5]", id="wanted-once")
        with pytest.raises(
            TimedOut, match=r"no answer to `vm launch` within 8 s; it may still be carried out"
        ):
            await client.call(wanted, namespace="red", timeout_s=8)
        assert held(running) == guests
        for server in ("nats-server2", "nats-server3"):
            await asyncio.to_thread(running.start, server)
        begun = asyncio.get_running_loop().time()
        assert (await client.call(wanted, namespace="red")).count == 6
        print(f"recovered within {asyncio.get_running_loop().time() - begun:.1f} s")
        await ns.start()
        assert guests.items() <= held(running).items()
        await run_once_each(running, ns, [*names, *(f"vm{number}" for number in range(6))])
