"""Links that are cut, deaf on one side, slow, or cut in the middle of a batch: a TCP proxy is in the way."""

import asyncio
import contextlib
import json

import pytest
from tests.component.proxy import proxied
from tests.component.soak_rig import held
from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.messages.hosts import ListMesh
from shoal.testing import cluster

# connections are given up, and hosts suspected, in real time
pytestmark = pytest.mark.timeout(400)

#: what FAULTS allows until a one-way cut is noticed, and what a busy machine adds
NOTICED_S = 15.0
BUSY_S = 10.0


@contextlib.asynccontextmanager
async def behind(*roles, orchestrators=1):
    """A cluster in which some processes find NATS behind a proxy each, a client beside them, and a namespace."""
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(
            cluster("mm[1-3]", apart="mm3", keep=True, orchestrators=orchestrators)
        )
        proxies = []
        for role in roles:
            proxies.append(await stack.enter_async_context(proxied(running.url)))
            running.kill(role)
            running.start(role, server=proxies[-1].url)
        client = await stack.enter_async_context(shoal.connect(running.url))
        await running.ready()
        ns = client.namespace("red")
        await ns.create()
        yield running, client, ns, *proxies


async def states(client):
    return {row.host: row.state for row in (await client.call(ListMesh(which="status"))).items}


async def become(client, host, state, timeout_s=60):
    async def look():
        return (await states(client)).get(host) == state

    await eventually(look, f"{host} is {state}", timeout_s)


async def test_a_worker_cut_off_keeps_its_vms_and_carries_out_what_it_missed():
    """Cut off, a host is suspect and its guests run on; back again, it ends what was killed meanwhile, and only that."""
    async with behind("apart") as (running, client, ns, proxy):
        await ns.launch("vm[1-9]")
        await ns.start()
        theirs = sorted(row.name for row in await ns.vms() if row.host == "mm3")
        guests = held(running)
        proxy.cut()
        await become(client, "mm3", "suspect")
        assert (await ns.kill(theirs[0])).vms == ""
        assert held(running) == guests
        proxy.mend()
        await ns.wait(theirs[0], "QUIT", timeout_s=60)
        await become(client, "mm3", "alive")
        rows = {row.name: row for row in await ns.vms()}
        assert {name for name, row in rows.items() if row.state == "RUNNING"} == rows.keys() - {theirs[0]}
        assert held(running) == {
            instance: guest for instance, guest in guests.items() if instance != rows[theirs[0]].instance
        }


async def test_a_link_that_is_deaf_on_one_side_is_given_up_within_15_s():
    """Whichever way the bytes are lost, the worker gives the connection up; and mended, its host is as before."""
    async with behind("apart", "workers") as (running, client, ns, hearing, speaking):
        await ns.launch("vm[1-9]")
        await ns.start()
        guests = held(running)
        loop = asyncio.get_running_loop()
        begun, asked = loop.time(), [proxy.asked for proxy in (hearing, speaking)]
        hearing.swallowed = {"down"}
        speaking.swallowed = {"up"}

        async def given_up():
            return hearing.asked > asked[0] and speaking.asked > asked[1]

        await eventually(given_up, "both connections are given up", NOTICED_S + BUSY_S)
        print(f"noticed within {loop.time() - begun:.1f} s")
        assert held(running) == guests
        for proxy in (hearing, speaking):
            proxy.mend()
            proxy.reset()
        for host in running.hosts:
            await become(client, host, "alive")
        await ns.wait("vm[1-9]", "RUNNING", timeout_s=60)
        assert held(running) == guests


async def test_a_leader_that_hears_nothing_is_replaced():
    """What it sends arrives, what it is sent does not: another leads when its lease has run out, and nothing is lost."""
    async with behind("orchestrator", orchestrators=2) as (running, _, ns, proxy):
        second = "orchestrator2"

        async def leads():
            return await running.leader() == "orchestrator"

        if await running.leader() != "orchestrator":
            assert await running.end(second) == 0
            running.start(second)
            await eventually(leads, "the one behind the proxy leads")
        await ns.launch("before")
        begun = asyncio.get_running_loop().time()
        proxy.swallowed = {"down"}
        launching = [asyncio.ensure_future(ns.launch(f"vm{number}")) for number in range(20)]

        async def replaced():
            return await running.leader() == second

        await eventually(replaced, "the other leads")
        await asyncio.gather(*launching)
        print(f"answered within {asyncio.get_running_loop().time() - begun:.1f} s")
        proxy.mend()
        proxy.reset()

        async def stands_by():
            return running.log("orchestrator").rpartition("deposed")[2].count("standing-by") == 1

        await eventually(stands_by, "the first one stands by")
        assert sorted(row.name for row in await ns.vms()) == sorted(
            ["before", *(f"vm{number}" for number in range(20))]
        )


async def test_a_slow_link_that_loses_packets_makes_things_slower_and_nothing_else():
    """Behind 40 to 120 ms and with one part in five sent once more, VMs are launched and no host is even suspect."""
    async with behind("apart", "workers", "orchestrator") as (running, _, ns, *proxies):
        before = {role: running.log(role) for role in ("orchestrator", "apart", "workers")}
        for proxy in proxies:
            proxy.delay_s, proxy.jitter_s, proxy.lost_one_in, proxy.again_s = 0.04, 0.08, 5, 0.25
        begun = asyncio.get_running_loop().time()
        for first in (0, 20):
            await ns.launch(f"vm[{first}-{first + 19}]")
            await ns.start(f"vm[{first}-{first + 19}]")
        print(f"40 VMs in {asyncio.get_running_loop().time() - begun:.1f} s")
        assert {row.state for row in await ns.vms()} == {"RUNNING"}
        assert sorted(len(guests) for guests in held(running).values()) == [1] * 40
        after = "".join(running.log(role).removeprefix(log) for role, log in before.items())
        assert "suspect" not in after
        assert "deposed" not in after


async def events_of(bus, namespace, what):
    """The VMs that the event stream tells of, once for each message."""
    stream = bus.client.jetstream()
    last = (await stream.stream_info(subjects.EVENT_STREAM)).state.last_seq
    messages = [await stream.get_msg(subjects.EVENT_STREAM, seq=number) for number in range(1, last + 1)]
    return sorted(
        json.loads(message.data)["name"]
        for message in messages
        if message.subject.startswith(f"shoal.event.{namespace}.vm.{what}.")
    )


#: what passes in the chunk that is cut, and how much of it still passes
CUTS = {
    "in-the-middle-of-the-batch": ("up", b"Nats-Batch-Sequence: 30\r\n", 0.5),
    "before-its-end": ("up", b"Nats-Batch-Commit: 1\r\n", 0.99),
    "in-its-acknowledgement": ("down", b'"batch"', 0.5),
}


async def test_a_batch_that_is_cut_is_stored_once():
    """However much of a batch or of its acknowledgement had passed when the connection broke, its VMs are there once."""
    async with behind("orchestrator") as (running, client, _, proxy):
        for name, (way, word, part) in CUTS.items():
            ns = client.namespace(name)
            await ns.create()
            cuts: list[int] = []

            def cutting(this, chunk, way=way, word=word, part=part, cuts=cuts):
                # a batch with nothing but the lease in it is of no interest
                if cuts or this != way or word not in chunk or b'"count":1}' in chunk:
                    return None
                cuts.append(len(chunk))
                return int(len(chunk) * part)

            proxy.cutting = cutting
            launched = await ns.launch("vm[0-79]")
            assert cuts, f"nothing was cut {name}"
            assert launched.count == 80
            await ns.start()
            rows = await ns.vms()
            assert {row.state for row in rows} == {"RUNNING"}
            assert len({row.name for row in rows}) == 80
            assert {row.instance for row in rows} == {
                instance for instance, ((_, where, *_),) in held(running).items() if where == name
            }
            await everyone_told(running, name, sorted(row.name for row in rows))


async def everyone_told(running, namespace, names):
    """Wait until each VM's launch and start stand in the event stream, once."""
    async with await connect(running.url, name="events") as bus:

        async def told():
            return [await events_of(bus, namespace, what) for what in ("launched", "started")] == [names] * 2

        await eventually(told, "each VM's events are there, once")
