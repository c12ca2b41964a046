"""Soaks: 200 VMs are launched and started over three hosts while a process dies, again and again.

`SHOAL_ROUNDS=20 pytest tests/component/test_soak.py -rP` runs more rounds than CI does, and tells what died when;
`SHOAL_SEED=N` repeats the moments of a run.
"""

import asyncio
import os
import random

import pytest
from tests.component.soak_rig import Soak
from tests.waiting import eventually

import shoal
from shoal.testing import cluster

ROUNDS = int(os.environ.get("SHOAL_ROUNDS", "2"))
SEED = int(os.environ.get("SHOAL_SEED", random.SystemRandom().randrange(1 << 32)))

pytestmark = pytest.mark.timeout(200 + 120 * ROUNDS)


async def soak(fault, *, nats=1):
    """Rounds in which something dies, on a cluster of their own; in how many of them all was right."""
    print(f"SHOAL_SEED={SEED}")
    rng = random.Random(SEED)
    async with (
        cluster("mm[1-3]", apart="mm3", orchestrators=2, nats=nats, keep=True) as running,
        shoal.connect(running.url) as client,
    ):
        rounds = Soak(running, client, rng)
        loop = asyncio.get_running_loop()
        for number in range(ROUNDS):
            begun = loop.time()
            died = await rounds.round(fault)
            print(f"round {number + 1}: {died}; {loop.time() - begun:.1f} s")
        print(f"requests that were answered by an error and sent again: {rounds.repeated}")
        return rounds.right


async def the_leader(running, rng):
    async def leads():
        return await running.leader()

    role = await eventually(leads, "someone leads")
    running.kill(role)
    await asyncio.sleep(rng.uniform(0, 1))
    running.start(role)
    return role


async def a_worker(running, rng):
    role = rng.choice(("workers", "apart"))
    running.kill(role)
    await asyncio.sleep(rng.uniform(0, 1))
    running.start(role)
    return role


async def the_server(running, rng):
    running.kill("nats-server")
    await asyncio.sleep(rng.uniform(0, 2))
    await asyncio.to_thread(running.start, "nats-server")
    return "nats-server"


async def the_streams_leader(running, rng):
    async def leads():
        return await running.stream_leader()

    role = await eventually(leads, "a server leads the state stream")
    running.kill(role)
    await asyncio.sleep(rng.uniform(0, 3))
    await asyncio.to_thread(running.start, role)
    return role


async def test_vms_run_once_each_while_leaders_are_killed():
    """kill -9 of the leading orchestrator at any moment of a launch: each VM runs, once, and every request is answered."""
    assert await soak(the_leader) == ROUNDS


async def test_vms_run_once_each_while_workers_are_killed():
    """kill -9 of a worker at any moment of a launch: it adopts what it had created, and each VM runs, once."""
    assert await soak(a_worker) == ROUNDS


async def test_vms_run_once_each_while_the_nats_server_is_killed():
    """kill -9 of the only NATS server, back within two seconds: each VM runs, once, and every request is answered."""
    assert await soak(the_server) == ROUNDS


async def test_vms_run_once_each_while_the_streams_leader_is_killed():
    """kill -9 of that of three NATS servers that leads the state stream: each VM runs, once."""
    assert await soak(the_streams_leader, nats=3) == ROUNDS
