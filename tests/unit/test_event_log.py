"""Publishing events: their order, their ids, what happens when the stream is away for long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.test_missing_events import RED, launch, model_of, status

from shoal.bus import protocol
from shoal.errors import StoreUnavailable
from shoal.messages.desired import LaunchRecord
from shoal.messages.events import Event, NamespaceCreated, VMEvent, VMFailed, VMLaunched, VMPaused, VMStarted
from shoal_orchestrator import event_gaps, event_log
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import SeenHost
from shoal_orchestrator.event_gaps import publish_missing
from shoal_orchestrator.event_log import EventLog

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for longer than a moment, and twenty events are many."""
    monkeypatch.setattr(event_log, "RETRY_S", 0.001)
    monkeypatch.setattr(event_log, "MAX_WAITING", 20)
    monkeypatch.setattr(event_gaps, "AGAIN_S", 0.001)


class Stream:
    """A store whose stream of events may be away, and which stores an id once."""

    def __init__(self, model: Model, before: list[protocol.Stored] | None = None) -> None:
        self.model = model
        self.fence = SimpleNamespace(epoch=3)
        self.stored: list[tuple[str, dict[str, Any]]] = []
        self.away = asyncio.Event()
        self.failures = 0
        self._before = before or []
        self._ids: set[str] = set()

    async def publish(self, events: Sequence[protocol.Event]) -> None:
        """Take events, or fail as often as `failures` says; wait while `away` is set."""
        while self.away.is_set():
            await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the stream is away")
        for event in events:
            if event.id not in self._ids:
                self._ids.add(event.id)
                self.stored.append((event.subject, json.loads(event.body)))

    async def last_events(self) -> AsyncIterator[protocol.Stored]:
        """What the stream had before; the first attempts fail with `failures`."""
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the stream is away")
        for stored in self._before:
            yield stored


@contextlib.asynccontextmanager
async def running(log: EventLog) -> AsyncIterator[None]:
    task = asyncio.ensure_future(log.run())
    try:
        yield
    finally:
        task.cancel()


def log_of(stream: Any) -> EventLog:
    return EventLog(stream, random.Random(1))


def vm(kind: type[VMEvent], name: str = "web", revision: int = 2, state: str = "X") -> VMEvent:
    return kind(
        namespace="red",
        name=name,
        instance=f"i-{name}",
        revision=revision,
        host="mm1",
        id=f"i-{name}-{revision}-{state}",
    )


async def test_events_are_whole_when_they_are_stored() -> None:
    """Each gets its type, a time, an id where it has none, and the epoch of its leader."""
    stream = Stream(Model())
    log = log_of(stream)
    async with running(log):
        log.publish([NamespaceCreated(namespace="red", name="red"), vm(VMStarted)])
        await log.sent()
    (_, created), (subject, started) = stream.stored
    assert (created["event"], created["epoch"], len(created["id"]) > 8) == ("NamespaceCreated", 3, True)
    assert (subject, started["id"]) == ("shoal.event.red.vm.started.web", "i-web-2-X")
    assert created["at"].endswith("Z")


async def test_events_of_one_object_keep_their_order_through_failures() -> None:
    """However often the stream refuses, each object's events are stored once each, in the order of publishing."""
    stream = Stream(Model())
    stream.failures = 7
    log = log_of(stream)
    async with running(log):
        for revision in range(1, 4):
            log.publish(vm(VMStarted, name, revision) for name in ("a", "b", "c"))
        await log.sent()
    histories = defaultdict(list)
    for _, body in stream.stored:
        histories[body["name"]].append(body["revision"])
    assert histories == {"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3]}


async def test_what_a_vm_does_again_without_being_asked_gets_another_id() -> None:
    """A guest that is paused and goes on behind our back is told each time, though its record's revision stays."""
    stream = Stream(Model())
    log = log_of(stream)
    async with running(log):
        log.publish(
            [vm(VMStarted, state="RUNNING"), vm(VMPaused, state="PAUSED"), vm(VMStarted, state="RUNNING")]
        )
        await log.sent()
    assert [body["event"] for _, body in stream.stored] == ["VMStarted", "VMPaused", "VMStarted"]
    assert stream.stored[0][1]["id"] == "i-web-2-RUNNING"


def leader_of(stream: Stream, log: EventLog, hosts: dict[str, SeenHost]) -> Any:
    return SimpleNamespace(
        events=log, store=stream, model=stream.model, inventory=SimpleNamespace(hosts=hosts)
    )


def cluster_of(count: int) -> tuple[list[LaunchRecord], dict[str, SeenHost]]:
    records = [launch(f"vm{number}", f"i-vm{number}") for number in range(count)]
    host = SeenHost()
    for record in records:
        host.take(status(record.name, record.instance), 0.0)
    return records, {"mm1": host}


def last_of(stream: Stream) -> dict[str, str]:
    return {body["name"]: body["event"] for subject, body in stream.stored if ".vm." in subject}


async def test_what_was_dropped_is_told_in_the_end() -> None:
    """When far more events wait than are kept, the last event of every VM is still what it is in the end."""
    records, hosts = cluster_of(50)
    stream = Stream(model_of(RED, *records))
    log = log_of(stream)
    gaps = asyncio.ensure_future(publish_missing(leader_of(stream, log, hosts)))
    async with running(log):
        await asyncio.sleep(0)
        stream.away.set()
        for kind in (VMLaunched, VMFailed, VMStarted):
            log.publish(vm(kind, record.name, state=kind.what) for record in records)
        assert log.waiting <= 20
        stream.away.clear()
        async with asyncio.timeout(30):
            while last_of(stream) != {record.name: "VMStarted" for record in records}:
                await asyncio.sleep(0)
        gaps.cancel()
    late = [body for _, body in stream.stored if body.get("late")]
    assert len(late) >= 30
    assert {body["event"] for body in late} <= {"VMStarted", "NamespaceCreated"}


async def test_a_stream_that_cannot_be_read_is_read_again() -> None:
    """Until the last events were read nothing of before is told; then exactly what is missing."""
    records, hosts = cluster_of(3)
    told: Event = vm(VMStarted, "vm0")
    before = [protocol.Stored("shoal.event.red.vm.started.vm0", 7, b'{"instance":"i-vm0","revision":2}')]
    stream = Stream(model_of(*records), before)
    stream.failures = 3
    log = log_of(stream)
    assert not log.told.lacks(told)
    assert not log.told.lacks(vm(VMStarted, "vm1"))
    gaps = asyncio.ensure_future(publish_missing(leader_of(stream, log, hosts)))
    async with running(log), asyncio.timeout(30):
        while len(stream.stored) < 2:
            await asyncio.sleep(0)
        await log.sent()
    gaps.cancel()
    assert last_of(stream) == {"vm1": "VMStarted", "vm2": "VMStarted"}
