"""How far a launch has come is told from its beginning on, and often enough to be seen while it lasts two seconds."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any

from tests.simulation.virtual_loop import VirtualLoop

from shoal import codec, subjects
from shoal.bus.protocol import Message
from shoal.messages.base import Progress
from shoal.messages.schedule import Launched
from shoal.messages.vms import LaunchVMs
from shoal_orchestrator.api import Api
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.records import PlanRecord
from shoal_orchestrator.handlers import carrying_out


class Published:
    """A bus that notes when which progress was published."""

    def __init__(self):
        self.steps = []

    async def publish(self, _, body, **__):
        step = codec.decode(body, Progress)
        self.steps.append((asyncio.get_running_loop().time(), step.done, step.total))


async def test_count_is_told_before_anything_is_stored(monkeypatch):
    """The first word of a plan that is carried out is its count, however long the store and the hosts take."""
    told: list[tuple[int, int, str]] = []

    async def stores(_):
        assert told == [(0, 8000, "launching")]
        raise asyncio.CancelledError

    monkeypatch.setattr(carrying_out, "entries_of", lambda *_: [])
    monkeypatch.setattr(carrying_out, "placed_hosts", lambda *_: [])
    monkeypatch.setattr(launching, "launches", lambda *_: [])
    leader: Any = SimpleNamespace(
        launching={},
        model=SimpleNamespace(chunks={("red", "p"): {}}, queues={"red": {}}, plans={"red": {"p": None}}),
        namespace=lambda _: None,
        ids=None,
        commit=stores,
    )
    plan = PlanRecord(namespace="red", plan="p", revision=1, state="running", entries=(), total=8000)
    try:
        await carrying_out.run_plan(leader, plan, lambda *step: told.append(step))
    except asyncio.CancelledError:
        assert told
    else:
        raise AssertionError("nothing was stored")


def test_callers_hear_twice_within_the_first_second_what_there_is_to_tell():
    """A caller knows the count within a second of the launch's start, before a prompt begins to show progress."""
    bus: Any = Published()

    async def launch(_, __, ___, call):
        for done in range(0, 8000, 400):
            call.progress(done, 8000, "launching")
            await asyncio.sleep(0.1)
        return Launched(count=8000)

    async def main():
        async with asyncio.TaskGroup() as tasks:
            leader: Any = SimpleNamespace(
                metrics=SimpleNamespace(count=lambda *_: None, observe=lambda *_: None),
                requests_running=0,
                store=SimpleNamespace(confirm=lambda: asyncio.sleep(0), frozen=""),
                model=SimpleNamespace(requests={}),
                spawn=lambda work, name: tasks.create_task(work, name=name),
            )
            unused: Any = None
            api = Api(bus, leader, [LaunchVMs], {LaunchVMs: launch}, unused)
            subject = subjects.command("ns", "vm", "launch", "red")
            message = Message(subject=subject, body=b"", reply="_INBOX.x", headers={})
            begun = asyncio.get_running_loop().time()
            await api._answer(LaunchVMs(id="1", names="8000"), message, "msgpack")
        return begun

    loop = VirtualLoop(random.Random(1))
    try:
        begun = loop.run_until_complete(main())
    finally:
        loop.close()
        loop.bury()
    first = [(at - begun, total) for at, _, total in bus.steps if at - begun <= 1.0]
    assert [total for _, total in first] == [8000, 8000]
    assert len(bus.steps) >= 3
