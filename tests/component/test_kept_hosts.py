"""Simulated hosts that are kept: `kill -9` of their worker ends no guest, as it ends no QEMU."""

import shoal
from shoal.testing import cluster


async def looks(ns):
    """What there is of each VM: instance, host, state and process."""
    return {row.name: (row.instance, row.host, row.state, row.pid) for row in await ns.vms()}


async def test_a_killed_worker_finds_its_guests_and_carries_out_what_was_asked_meanwhile():
    """VMs run on under the same process numbers; one that was killed meanwhile ends when the worker is back."""
    async with (
        cluster("mm[1-3]", apart="mm3", keep=True) as running,
        shoal.connect(running.url) as client,
    ):
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a,b,c,d,e,f")
        await ns.start("a,b,c,d,e")
        before = await looks(ns)
        there = sorted(name for name, (_, host, *_) in before.items() if host == "mm3")
        assert len(there) == 2
        running.kill("apart")
        running.kill("workers")
        running.start("workers")
        ended = client.namespace("red").kill(there[0])
        running.start("apart")
        assert (await ended).vms == there[0]
        await ns.wait(",".join(name for name in "abcde" if name != there[0]), "RUNNING", timeout_s=60)
        after = await looks(ns)
        assert {name: row for name, row in after.items() if name != there[0]} == {
            name: row for name, row in before.items() if name != there[0]
        }
        assert after[there[0]][2] == "QUIT"
