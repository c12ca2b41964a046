"""Events over a change of leaders: what was not told is told, what was told is not told again, nothing is made up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict

from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.messages.schedule import SetQueueing
from shoal.messages.vlans import AddBridge
from shoal.testing import cluster


class Stream:
    """The event stream of a cluster, read and cut by a connection of its own."""

    def __init__(self, bus) -> None:
        self.jetstream = bus.client.jetstream()

    async def last(self) -> int:
        return (await self.jetstream.stream_info(subjects.EVENT_STREAM)).state.last_seq

    async def since(self, sequence: int = 0) -> list[tuple[str, dict]]:
        """(noun.what.name, body) of the events after a sequence."""
        found = []
        for number in range(sequence + 1, await self.last() + 1):
            with contextlib.suppress(Exception):  # purged
                message = await self.jetstream.get_msg(subjects.EVENT_STREAM, seq=number)
                found.append((".".join(message.subject.split(".")[3:]), json.loads(message.data)))
        return found

    async def forget(self, *filters: str) -> None:
        """Remove events and what the server remembers of their ids, as though they had never been published."""
        config = (await self.jetstream.stream_info(subjects.EVENT_STREAM)).config
        config.duplicate_window = 0.1
        await self.jetstream.update_stream(config)
        probe = {"Nats-Msg-Id": "probe"}

        async def forgotten():
            return not (await self.jetstream.publish("shoal.event.probe", b"", headers=probe)).duplicate

        assert await forgotten()
        await eventually(forgotten, "the server has forgotten the ids")
        for filter_ in ("shoal.event.probe", *filters):
            await self.jetstream.purge_stream(subjects.EVENT_STREAM, subject=filter_)


@contextlib.asynccontextmanager
async def cluster_with_events(hosts: str = "mm[1-2]"):
    async with (
        cluster(hosts) as running,
        shoal.connect(running.url) as client,
        await connect(running.url, name="events") as bus,
    ):
        ns = client.namespace("red")
        await ns.create()
        yield running, ns, Stream(bus)


async def another_leader(running) -> None:
    """Kill the orchestrator, start it again, and wait until it has looked for what is missing."""
    reads = running.log("orchestrator").count("last-events-read")
    running.kill("orchestrator")
    running.start("orchestrator")
    await running.ready()

    async def looked():
        return running.log("orchestrator").count("last-events-read") > reads

    await eventually(looked, "the new leader has read the last events")


async def test_a_new_leader_tells_nothing_that_was_told():
    """When everything was told, a take-over adds no event at all, though every host tells everything anew."""
    async with cluster_with_events() as (running, ns, stream):
        await ns.launch("vm[0-9]")
        await ns.start("vm[0-4]")
        await ns.kill("vm5")
        before = await stream.last()
        await another_leader(running)
        await ns.stop("vm0")
        await eventually(lambda: stream.since(before), "the next event")
        assert [what for what, _ in await stream.since(before)] == ["vm.paused.vm0"]


async def test_a_new_leader_tells_what_is_missing():
    """Events that were never published are, each object's last one, marked as late, under the new epoch."""
    async with cluster_with_events() as (running, ns, stream):
        await ns.call(AddBridge(bridge="lan"))
        await ns.launch("vm[0-3]")
        await ns.start("vm[0-2]")
        await ns.stop("vm1")
        await ns.kill("vm3")
        await ns.flush("vm3")
        await ns.call(SetQueueing(enabled=True))
        await ns.launch("later")
        before = await stream.last()
        await stream.forget(
            "shoal.event.red.vm.started.vm0",
            "shoal.event.red.vm.paused.vm1",
            "shoal.event.red.vm.started.vm1",
            "shoal.event.red.vm.removed.vm3",
            "shoal.event.red.bridge.>",
            "shoal.event.red.queue.>",
            "shoal.event.red.schedule.completed.*",
        )
        await another_leader(running)
        wanted = {
            "vm.started.vm0",
            "vm.paused.vm1",
            "vm.removed.vm3",
            "bridge.created.lan",
            "queue.added.1",
        }

        async def told():
            found = {what for what, _ in await stream.since(before)}
            return wanted <= found and any(what.startswith("schedule.completed") for what in found)

        await eventually(told, "all that was missing")
        found = await stream.since(before)
        assert len(found) == len(wanted) + 1
        assert all(body["late"] and body["epoch"] == 2 for _, body in found)


async def test_each_vm_has_its_events_in_order_whenever_the_leader_is_killed():
    """Leaders are killed while VMs start: in the end each VM's last event is its state, and no id is there twice.

    Of each VM's events only some may be missing in between; those of a lower epoch never follow those of a higher.
    """
    async with cluster_with_events("mm[1-3]") as (running, ns, stream):
        names = [f"vm{number}" for number in range(300)]
        await ns.launch("vm[0-299]")
        for done in (40, 160):
            starting = asyncio.create_task(ns.start())

            async def some(done=done):
                return await stream.last() > 300 + done

            await eventually(some, "some have started")
            await another_leader(running)
            with contextlib.suppress(shoal.ShoalError):
                await starting
        await ns.wait("vm[0-299]", "RUNNING", timeout_s=120)

        async def settled():
            events = await stream.since()
            return {what for what, _ in events} >= {f"vm.started.{name}" for name in names}

        await eventually(settled, "every VM has been told to run")
        histories = defaultdict(list)
        ids = []
        for what, body in await stream.since():
            ids.append(body["id"])
            if what.startswith("vm."):
                histories[body["instance"]].append((body["epoch"], what.split(".")[1]))
        assert len(ids) == len(set(ids))
        assert len(histories) == 300
        for history in histories.values():
            assert [epoch for epoch, _ in history] == sorted(epoch for epoch, _ in history)
            assert [what for _, what in history] in (["launched", "started"], ["started"])
