"""JetStream's space ends in the middle of a launch: an error in time, nothing half-done for good, and on with room again."""

import asyncio

import nats.js.errors
import pytest
from tests.component.soak_rig import held

import shoal
from shoal.bus.connection import connect
from shoal.errors import StoreUnavailable
from shoal.messages.vms import LaunchVMs
from shoal.testing import cluster

# a leader tries for 15 s to store what it has decided
pytestmark = pytest.mark.timeout(200)

FILLER = "FILLER"
MESSAGE = 64 * 1024
VMS = 300


async def fill(jetstream):
    """Take all the space that there is but for one message's, which some of the launches' records fit in, and not all."""
    await jetstream.add_stream(name=FILLER, subjects=["filler"])
    size = MESSAGE
    while size >= 1024:
        try:
            await jetstream.publish("filler", bytes(size))
        except nats.js.errors.APIError:
            size //= 2
    await jetstream.delete_msg(FILLER, 1)


async def test_a_launch_that_does_not_fit_is_refused_in_time_and_done_once_with_room(monkeypatch):
    """The server stores a part of the batch; nobody is told that it was all, and the next leader does the rest, once."""
    monkeypatch.setenv("SHOAL_EVENT_SIZE", "1MiB")
    async with (
        cluster("mm[1-2]", keep=True, room="8MB") as running,
        shoal.connect(running.url, patience_s=3) as client,
        await connect(running.url, name="filler") as bus,
    ):
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("before")
        await ns.start()
        (before,) = await ns.vms()
        jetstream = bus.client.jetstream()
        await fill(jetstream)
        wanted = LaunchVMs(names=f"vm[1-{VMS}]", id="wanted-once")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(StoreUnavailable, match="insufficient resources") as refused:
            await client.call(wanted, namespace="red", timeout_s=60)
        print(f"after {loop.time() - begun:.1f} s: {refused.value!r}")
        assert "batch-stored-in-part" in running.log("orchestrator")
        assert held(running)[before.instance] == [("mm1", "red", "before", "running")]
        await jetstream.delete_stream(FILLER)
        begun = loop.time()
        assert (await client.call(wanted, namespace="red", timeout_s=60)).count == VMS
        print(f"with room: after {loop.time() - begun:.1f} s")
        rows = await ns.wait(f"vm[1-{VMS}]", "BUILDING", timeout_s=60)
        assert {row.instance for row in rows} | {before.instance} == held(running).keys()
        assert all(len(guests) == 1 for guests in held(running).values())
