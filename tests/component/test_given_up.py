"""What is given up half-way on a connection leaves it as it was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import shoal
from shoal.bus.connection import connect
from shoal.testing import cluster


async def test_a_connection_outlives_waits_that_are_given_up(nats_url, caplog):
    """The server's answer to a flush that nobody waits for any more is passed over."""
    async with await connect(nats_url, name="t") as bus:
        for _ in range(20):
            waiting = asyncio.ensure_future(bus.settle())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait((waiting,))
        async with asyncio.timeout(5):
            await bus.settle()
        assert bus.client.stats["reconnects"] == 0
        assert bus.client.stats["errors_received"] == 0
    assert caplog.records == []


async def test_waiting_for_no_time_is_one_look():
    """VMs that are in the state are returned; for others it is told how they are; and the next call is answered."""
    async with cluster("mm1") as running, shoal.connect(running.url) as client:
        red = client.namespace("red")
        await red.create()
        await red.launch("a")
        (row,) = await red.wait("a", "BUILDING", timeout_s=0)
        assert row.name == "a"
        with pytest.raises(shoal.TimedOut) as told:
            await red.wait("a,b", "RUNNING", timeout_s=0)
        assert told.value.details == ("a: BUILDING on mm1", "b: there is no such VM")
        assert told.value.names == ("a", "b")
        wrong: Any = "running"
        with pytest.raises(
            shoal.InvalidRequest, match="no such state: 'running'; VMs are BUILDING, RUNNING, "
        ):
            await red.wait("a", wrong, timeout_s=0)
        async with asyncio.timeout(5):
            assert len(await red.vms()) == 1


async def test_a_client_that_is_closed_says_so():
    """At once, whatever is asked of it, and as an error of ours."""
    async with cluster("mm1") as running:
        async with shoal.connect(running.url) as client:
            await client.namespace("red").create()
        async with asyncio.timeout(5):
            for call in (client.hosts(), client.namespace("red").launch("a")):
                with pytest.raises(shoal.Unavailable, match="this client is closed"):
                    await call
