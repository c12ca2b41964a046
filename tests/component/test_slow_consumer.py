"""Heartbeats that come faster than they are handled: they are dropped and counted, and commands are served as ever."""

from __future__ import annotations

import asyncio
import contextlib
import random

from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus import connection
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.streams import JetStreamState
from shoal.metrics.dropped import MESSAGES_DROPPED
from shoal.metrics.recorder import Recorder
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.measures import CATALOGUE
from shoal_orchestrator.service import Orchestrator
from shoal_orchestrator.settings import Settings

SENT = 20_000
#: what may wait, for a flood that a test can afford
PENDING = 100


@contextlib.asynccontextmanager
async def led(url, metrics):
    """A real orchestrator that leads in this process, with a connection of its own."""
    async with await connect(url, name="orchestrator", metrics=metrics) as bus:
        parts = (bus, JetStreamState(bus), NatsBlobs(bus), Settings(head="head"), random.Random(1))
        orchestrator = Orchestrator(*parts, metrics=metrics)
        leading = asyncio.ensure_future(orchestrator.run())
        await asyncio.wait_for(orchestrator.ready.wait(), 30)
        yield
        assert not leading.done(), "the term has ended"
        orchestrator.stop()
        await leading


async def test_a_flood_of_heartbeats_is_dropped_and_counted_and_commands_are_served(
    nats_url, monkeypatch, caplog
):
    """Each heartbeat is heard or counted, one line in the log tells of it, and meanwhile every request is answered."""
    heard = 0

    def on_heartbeat(*_):
        nonlocal heard
        heard += 1

    monkeypatch.setattr(connection, "MAX_PENDING", PENDING)
    monkeypatch.setattr(HostInventory, "_on_heartbeat", on_heartbeat)
    metrics = Recorder(CATALOGUE)

    def dropped():
        counted = {each.metric: each.values.get((), 0) for each in metrics.snapshot()}
        return int(counted[MESSAGES_DROPPED])

    async with (
        led(nats_url, metrics),
        await connect(nats_url, name="flood") as flood,
        shoal.connect(nats_url) as client,
    ):

        async def send():
            for number in range(SENT):
                await flood.publish(subjects.heartbeat("mm1"), b"\x80")
                if number % 1000 == 0:
                    await asyncio.sleep(0)
            await flood.settle()

        sending = asyncio.ensure_future(send())
        for number in range(10):
            await client.namespace(f"red{number}").create()
        await sending

        async def all_counted():
            return heard + dropped() == SENT

        await eventually(all_counted, "each heartbeat was heard or counted")
        assert {f"red{number}" for number in range(10)} <= {
            row.namespace for row in await client.namespaces()
        }
    assert dropped() > 0
    assert heard > 0
    said = [record for record in caplog.records if "messages dropped" in record.getMessage()]
    assert len(said) == -(-dropped() // 10_000)
