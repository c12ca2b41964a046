"""Several orchestrators on a real nats-server: hand-over, take-over, and what a paused leader finds when it wakes."""

import asyncio
import os
import signal

import pytest
from tests.waiting import eventually

import shoal
from shoal import codec, subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Message
from shoal.messages.vms import LaunchVMs, ListVMs
from shoal.testing import cluster

# leases run out and hosts are lost in real time, and a busy machine adds to it
pytestmark = pytest.mark.timeout(400)

#: what FAULTS and the design allow, plus what a busy machine may add
TAKE_OVER_S = 20.0


async def another_leader(running, before):
    """Wait until another orchestrator than `before` holds the fence, and return its role."""

    async def look():
        now = await running.leader()
        return now if now not in ("", before) else ""

    return await eventually(look, f"another leader than {before}")


async def placed(ns):
    return {row.name: (row.host, row.state) for row in await ns.vms()}


async def test_a_leader_that_is_asked_to_end_hands_over_at_once():
    """SIGTERM under load: the standby leads long before a lease has run out, and no launch fails or is lost."""
    async with cluster("mm[1-3]", orchestrators=2) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        first = await running.leader()
        launching = [asyncio.ensure_future(ns.launch(f"vm{number}")) for number in range(40)]
        await asyncio.wait(launching, return_when=asyncio.FIRST_COMPLETED)
        assert await running.end(first) == 0
        second = await another_leader(running, first)
        assert "the leader has handed over" in running.log(second)
        await asyncio.gather(*launching)
        await ns.start()
        rows = await ns.wait("vm[0-39]", "RUNNING", timeout_s=60)
        assert sorted(row.name for row in rows) == sorted(f"vm{number}" for number in range(40))
        assert "handing-over" in running.log(first)
        assert "not-handed-over" not in running.log(first)


async def test_who_waits_is_told_when_the_leader_ends():
    """A launch waits for a host that stands still: its caller hears to ask again, and the next leader finishes it."""
    launch = LaunchVMs(names="a", id="waits", spec=shoal.VMConfig(schedule="mm2"))
    async with (
        cluster("mm[1-2]", orchestrators=2, apart="mm2") as running,
        await connect(running.url, name="waits") as bus,
        shoal.connect(running.url, patience_s=60) as client,
    ):
        await client.namespace("red").create()
        first = await running.leader()
        heard: asyncio.Queue[Message] = asyncio.Queue()
        await bus.subscribe("_INBOX.waits", heard.put_nowait)
        os.kill(running.pid("apart"), signal.SIGSTOP)
        try:
            subject = subjects.command("namespace", "vm", "launch", "red")
            await bus.publish(subject, codec.encode(launch), reply="_INBOX.waits")
            told = await asyncio.wait_for(heard.get(), 60)
            assert told.headers["Shoal-Status"] == "progress"
            assert await running.end(first) == 0
            while told.headers["Shoal-Status"] == "progress":
                told = await asyncio.wait_for(heard.get(), 60)
            assert told.headers["Shoal-Status"] == "ask-again"
            assert "send the request again" in told.headers["Nats-Service-Error"]
        finally:
            os.kill(running.pid("apart"), signal.SIGCONT)
        assert (await client.call(launch, namespace="red", timeout_s=60)).count == 1
        (row,) = await client.namespace("red").vms()
        assert (row.name, row.state, row.host) == ("a", "BUILDING", "mm2")


async def test_a_paused_leader_is_replaced_and_steps_down_when_it_wakes():
    """Nobody hears of a leader that is stopped: after its lease another leads, and the woken one writes nothing."""
    async with cluster("mm[1-3]", orchestrators=2) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("before")
        first = await running.leader()
        os.kill(running.pid(first), signal.SIGSTOP)
        try:
            begun = asyncio.get_running_loop().time()
            launching = asyncio.ensure_future(ns.launch("meanwhile"))
            second = await another_leader(running, first)
            took_s = asyncio.get_running_loop().time() - begun
            assert "silent for 15 s" in running.log(second)
            await launching
            await ns.kill("before")
            for _ in range(10):  # the stopped one is subscribed still, and must not be the only one to hear
                await client.call(ListVMs(), namespace="red", timeout_s=4.5)
        finally:
            os.kill(running.pid(first), signal.SIGCONT)

        async def deposed():
            return "deposed" in running.log(first) and "standing-by" in running.log(first)

        await eventually(deposed, "the woken leader stands by")
        assert await running.leader() == second
        assert {name: state for name, (_, state) in (await placed(ns)).items()} == {
            "before": "QUIT",
            "meanwhile": "BUILDING",
        }
        assert took_s > 10, "the lease was not waited for"


async def test_a_killed_leader_is_replaced_without_waiting_where_its_end_can_be_seen():
    """kill -9 with launches on their way: the standby on the same machine takes over, and each VM is there once."""
    async with cluster("mm[1-3]", orchestrators=2) as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        first = await running.leader()
        launching = [asyncio.ensure_future(ns.launch(f"vm{number}")) for number in range(40)]
        await asyncio.wait(launching, return_when=asyncio.FIRST_COMPLETED)
        running.kill(first)
        second = await another_leader(running, first)
        assert "has ended" in running.log(second)
        await asyncio.gather(*launching)
        await ns.start()
        rows = await ns.wait("vm[0-39]", "RUNNING", timeout_s=60)
        assert sorted(row.name for row in rows) == sorted(f"vm{number}" for number in range(40))
        running.start(first)

        async def stands_by():
            return "standing-by" in running.log(first)

        await eventually(stands_by, "the restarted one stands by")
        assert await running.leader() == second
