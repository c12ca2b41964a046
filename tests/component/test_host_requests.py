"""Questions to one worker over a real nats-server: what the leader asks, and what its worker answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import ClassVar

import msgspec
import pytest
from tests.component.worker_rig import HOST, Leader, Rig, record, segment

from shoal import codec, subjects
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.protocol import Message
from shoal.errors import NotFound, Refused, Unavailable
from shoal.messages.host_requests import HostRequest, MeasureGuests, RunQMP, TakeScreenshot, Text
from shoal_orchestrator.workers import Workers

PNG = b"\x89PNG\r\n\x1a\n"


class Inventory:
    """Says of every host that it is as it was told."""

    state_of = "alive"

    def state(self, _host: str) -> str:
        return self.state_of


class Unknown(HostRequest[Text], frozen=True, kw_only=True):
    """A question that a later version may ask."""

    verb: ClassVar[str] = "from-the-future"
    answer: ClassVar[type[msgspec.Struct]] = Text


@pytest.fixture
async def leader(nats_url: str) -> AsyncIterator[Leader]:
    async with await connect(nats_url, name="leader") as bus:
        found = Leader(bus)
        await found.open()
        yield found


@pytest.fixture
def workers(leader: Leader) -> Workers:
    return Workers(leader.bus, Inventory())  # type: ignore[arg-type]  # all that is used of an inventory


async def test_answers_about_a_guest(nats_url: str, leader: Leader, workers: Workers) -> None:
    """QMP, a screenshot in the file store and a measurement come back for a guest that runs on the host."""
    async with Rig().worker(nats_url) as bus:
        await leader.put(segment())
        await leader.put(record(revision=1, power="running"))
        await leader.until_vm("i1", "RUNNING", 1)
        answer = await workers.ask(HOST, RunQMP(instance="i1", command='{"execute": "query-status"}'))
        assert json.loads(answer.text)["return"]["status"] == "running"
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        content = await workers.ask(HOST, TakeScreenshot(instance="i1", label="a"))
        parts = [part async for part in blobs.read(content.digest)]
        assert b"".join(parts).startswith(PNG)
        assert len(b"".join(parts)) == content.size
        usages = await workers.ask(HOST, MeasureGuests(instances=("i1", "i2"), duration_s=0.01))
        assert [usage.instance for usage in usages.items] == ["i1"]


async def test_refusals(nats_url: str, leader: Leader, workers: Workers) -> None:
    """A guest that is not there, a question that is not known and a host that is lost are each said so."""
    async with Rig().worker(nats_url):
        await leader.until("beat", lambda: bool(leader.beats))
        with pytest.raises(Refused, match="does not run on this host"):
            await workers.ask(HOST, RunQMP(instance="i9", command="{}"))
        with pytest.raises(NotFound, match="knows no `from-the-future`"):
            await workers.ask(HOST, Unknown())
        workers._inventory.state_of = "lost"  # type: ignore[attr-defined]  # the stand-in's
        with pytest.raises(Refused, match="it is lost"):
            await workers.ask(HOST, RunQMP(instance="i1", command="{}"))


async def test_nobody_answers(workers: Workers) -> None:
    """A host without a worker is told of at once, with the question."""
    with pytest.raises(Unavailable, match="worker of host mm7 does not answer `qmp`"):
        await workers.ask("mm7", RunQMP(instance="i1", command="{}"))
    answers, refused = await workers.ask_all(["mm7", "mm8"], RunQMP(instance="i1", command="{}"))
    assert answers == {}
    assert set(refused) == {"mm7", "mm8"}


async def test_long_answers_are_heard_of(nats_url: str, leader: Leader, workers: Workers) -> None:
    """While an answer takes its time the leader hears that it is being worked on."""
    heard: list[tuple[int, int, str]] = []
    async with Rig().worker(nats_url):
        await leader.until("beat", lambda: bool(leader.beats))
        question = MeasureGuests(instances=("i1",), duration_s=2.5)
        answer = await workers.ask(HOST, question, lambda *step: heard.append(step))
    assert answer.items == ()
    assert heard


async def test_replies_go_to_inboxes_only(nats_url: str, leader: Leader, workers: Workers) -> None:
    """A question that wants its answer under a subject of the cluster is not answered."""
    got: list[Message] = []
    await leader.bus.subscribe("shoal.launch.>", got.append)
    async with Rig().worker(nats_url):
        await leader.until("beat", lambda: bool(leader.beats))
        body = codec.encode(RunQMP(instance="i1", command="{}"))
        subject = subjects.host_request(HOST, "qmp")
        await leader.bus.publish(subject, body, reply="shoal.launch.mm1.foo.a")
        # Questions are taken in order: when the second was answered, the first was let go.
        with pytest.raises(Refused):
            await workers.ask(HOST, RunQMP(instance="i1", command="{}"))
        await leader.bus.settle()
        await asyncio.sleep(0)
    assert got == []
