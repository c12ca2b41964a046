"""Waiting for VMs: by events, by looking, until a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.client_rig import Answer, client_of, row

from shoal import codec, subjects
from shoal.bus.memory_events import MemoryEvents
from shoal.client import waiting
from shoal.errors import NotFound, TimedOut, Unavailable
from shoal.messages.desired import State
from shoal.messages.events import VMStarted
from shoal.messages.vms import VMs


class World:
    """VMs of a namespace, and the events of what happens to them."""

    def __init__(self, **states: State) -> None:
        self.states: dict[str, State] = dict(states)
        self.stream = MemoryEvents()
        self.looks = 0
        self.trouble: list[Answer] = []
        self.client, _ = client_of(self.answer, history=self.stream)

    def answer(self, _: Any) -> Iterator[Answer]:
        self.looks += 1
        if self.trouble:
            yield self.trouble.pop(0)
            return
        yield VMs(items=tuple(row(name, state) for name, state in self.states.items()))

    def start(self, name: str, *, told: bool = True) -> None:
        self.states[name] = "RUNNING"
        if told:
            event = VMStarted(event="VMStarted", namespace="red", name=name)
            self.stream.store(subjects.event("red", "vm", "started", name), codec.encode(event, "json"))

    async def looked(self, times: int) -> None:
        async with asyncio.timeout(20):
            while self.looks < times:
                await asyncio.sleep(0)


async def test_what_is_there_already_is_not_waited_for() -> None:
    """VMs that are in the state are returned in the order in which they were named, after one look."""
    world = World(b="RUNNING", a="RUNNING")
    found = await world.client.namespace("red").wait("a,b", "RUNNING", timeout_s=1)
    assert [vm.name for vm in found] == ["a", "b"]
    assert world.looks == 1
    assert world.stream.watches == {}


async def test_an_event_is_reason_to_look() -> None:
    """When events say that the last of them is there one look confirms it: nothing is polled meanwhile."""
    world = World(a="BUILDING", b="BUILDING")
    waiter = asyncio.create_task(world.client.namespace("red").wait("a,b", "RUNNING", timeout_s=60))
    await world.looked(1)
    world.start("a")
    world.start("b")
    assert [vm.state for vm in await waiter] == ["RUNNING", "RUNNING"]
    assert world.looks == 2


async def test_what_no_event_tells_is_seen_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change without an event is seen all the same."""
    monkeypatch.setattr(waiting, "LOOK_S", 0.02)
    world = World(a="BUILDING")
    waiter = asyncio.create_task(world.client.namespace("red").vm("a").wait("RUNNING", timeout_s=60))
    await world.looked(2)
    world.start("a", told=False)
    assert (await waiter).state == "RUNNING"


async def test_without_events_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no events are to be had, looking is enough; an orchestrator that is away is waited for."""
    monkeypatch.setattr(waiting, "POLL_S", 0.01)
    world = World(a="BUILDING")
    world.stream.away = True
    world.trouble = [Unavailable("nobody leads")] * 2
    waiter = asyncio.create_task(world.client.namespace("red").vm("a").wait("RUNNING", timeout_s=60))
    await world.looked(4)
    world.start("a", told=False)
    assert (await waiter).state == "RUNNING"


async def test_the_deadline_tells_how_each_is_instead() -> None:
    """TimedOut names the VMs that are not in the state, folded, and says of each how it is."""
    world = World(web1="RUNNING", web2="PAUSED")
    with pytest.raises(TimedOut, match=r"not RUNNING within 0.05 s in namespace red: web\[2-3\]") as told:
        await world.client.namespace("red").wait("web[1-3]", "RUNNING", timeout_s=0.05)
    assert told.value.details == ("web2: PAUSED on mm1", "web3: there is no such VM")
    assert told.value.names == ("web2", "web3")


async def test_a_namespace_that_is_not_there_is_not_waited_for() -> None:
    """Without the namespace there is nothing to wait for: NotFound, at once."""
    world = World()
    world.trouble = [NotFound("no such namespace: `red`")]
    with pytest.raises(NotFound, match="no such namespace"):
        await world.client.namespace("red").wait("a", "RUNNING", timeout_s=60)
    assert world.stream.watches == {}
