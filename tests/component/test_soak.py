"""Soaks: 200 VMs are launched and started over three hosts while a process dies or is asked to end, again and again.

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

#: what units give a process that is asked to end (`TimeoutStopSec` in packaging/)
LEADER_ENDS_S, WORKER_ENDS_S = 10.0, 20.0

ROUNDS = int(os.environ.get("SHOAL_ROUNDS", "2"))
SEED = int(os.environ.get("SHOAL_SEED", random.SystemRandom().randrange(1 << 32)))

pytestmark = pytest.mark.timeout(200 + 120 * ROUNDS)


async def soak(fault, *, nats=1, repeats=True):
    """Rounds in which something dies, on a cluster of their own; in how many of them all was right.

    Without `repeats` no request may be answered by an error.
    """
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
        assert repeats or not rounds.repeated, "a request was answered by an error"
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


async def asked_to_end(running, rng, role, within_s):
    """SIGTERM, and the same again after a moment; what was asked, and how long it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    assert await running.end(role, timeout_s=within_s) == 0
    took_s = loop.time() - begun
    await asyncio.sleep(rng.uniform(0, 1))
    running.start(role)
    return f"{role} ended within {took_s:.2f} s of SIGTERM"


async def the_leader_ends(running, rng):
    async def leads():
        return await running.leader()

    role = await eventually(leads, "someone leads")
    said = await asked_to_end(running, rng, role, LEADER_ENDS_S)
    assert "not-handed-over" not in running.log(role)
    return said


async def a_worker_ends(running, rng):
    return await asked_to_end(running, rng, rng.choice(("workers", "apart")), WORKER_ENDS_S)


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


async def test_vms_run_once_each_while_leaders_are_asked_to_end():
    """SIGTERM of the leading orchestrator at any moment of a launch: it hands over and ends well and in time, each VM
    runs, once, and no request is answered by an error."""
    assert await soak(the_leader_ends, repeats=False) == ROUNDS


async def test_vms_run_once_each_while_workers_are_asked_to_end():
    """SIGTERM of a worker at any moment of a launch: it ends well and in time, started again it goes on where it was,
    each VM runs, once, and no request is answered by an error."""
    assert await soak(a_worker_ends, repeats=False) == ROUNDS
