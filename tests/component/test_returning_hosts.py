"""A thousand hosts find a restarted server at once: all are alive soon, and read again one after another."""

import asyncio
from collections import Counter

import pytest

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.messages.overview import ShowOverview
from shoal.testing import cluster
from shoal.testing.leftovers import consumers_left

HOSTS = 1000
#: launches and taps
READS = 2 * HOSTS
WINDOW_S = 0.1

pytestmark = pytest.mark.timeout(200)


async def test_a_thousand_hosts_come_back_at_once():
    """nats-server killed and restarted: none is lost, no tenth of a second has a third of the reads, no consumer is left."""
    async with cluster(f"mm[1-{HOSTS}]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("vm[1-20]")
        await ns.start()
        loop = asyncio.get_running_loop()
        before = running.log("orchestrator")
        running.kill("nats-server")
        await asyncio.to_thread(running.start, "nats-server")
        begun = loop.time()
        reads: list[float] = []
        everyone = asyncio.Event()

        def read(_):
            reads.append(loop.time() - begun)
            if len(reads) >= READS:
                everyone.set()

        async with await connect(running.url, name="watch") as bus:
            await bus.subscribe(f"$JS.API.DIRECT.GET.{subjects.STATE_STREAM}", read)
            await bus.settle()
            await asyncio.wait_for(everyone.wait(), 60)
        await running.ready()
        busiest = max(Counter(int(at / WINDOW_S) for at in reads).values())
        print(
            f"{len(reads)} reads from {reads[0]:.2f} to {reads[-1]:.2f} s, at most {busiest} in {WINDOW_S} s"
        )
        assert busiest < len(reads) / 3
        assert await consumers_left(running.url) == []
        overview = await client.call(ShowOverview())
        assert overview.hosts == {"alive": HOSTS + 1}
        assert overview.vms == {"RUNNING": 20}
        assert '"now": "lost"' not in running.log("orchestrator").removeprefix(before)
