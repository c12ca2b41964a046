"""What the leader does with many heartbeats at once: each is answered, in few tasks, and hosts are asked in turn."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from shoal import codec, subjects
from shoal.bus.memory_streams import MemoryState
from shoal.bus.protocol import Message
from shoal.errors import Unavailable
from shoal.messages.desired import Capacity, Heartbeat, HeartbeatAck, Inventory
from shoal_orchestrator import inventory as inventory_module
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.store import Store

HOSTS = 300


class Bus:
    """Notes what is published, and how many questions are open at once; each is answered."""

    connected = True

    def __init__(self) -> None:
        self.acks: dict[str, HeartbeatAck] = {}
        self.broken = False
        self.open = self.most_open = 0

    async def publish(self, subject: str, body: bytes, **_: object) -> None:
        if self.broken:
            raise Unavailable("the connection is closed")
        self.acks[subject] = codec.decode(body, HeartbeatAck)

    async def request(self, subject: str, _: bytes, **__: object) -> Message:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(0)  # others may ask meanwhile
        self.open -= 1
        host = subject.split(".")[2]
        return Message(subject, codec.encode(Inventory(host=host, session="s", number=0)), "", {})


class Rig:
    """An inventory whose hosts have sessions already."""

    def __init__(self) -> None:
        self.bus = Bus()
        self.begun: Counter[str] = Counter()
        self.tasks: list[asyncio.Task[None]] = []
        nowhere: MemoryState = None  # type: ignore[assignment]  # nothing is stored here
        bus: Any = self.bus
        self.inventory = HostInventory(bus, Store(nowhere, random.Random(1)), self._spawn)
        for number in range(HOSTS):
            self.inventory.begin_session(f"h{number}", "s")
            self.inventory.hosts[f"h{number}"].reports = 0

    def _spawn(self, work: Any, name: str) -> None:
        self.begun[name] += 1
        self.tasks.append(asyncio.create_task(work))

    def hear(self, number: int, *, session: str = "s", reports: int = 0, reply: str | None = None) -> None:
        beat = Heartbeat(
            host=f"h{number}",
            incarnation="i",
            session=session,
            version="0",
            capacity=Capacity(cpus=1, memory_mib=1),
            reports=reports,
        )
        inbox = f"{subjects.INBOXES}{number}" if reply is None else reply
        self.inventory._on_heartbeat(Message(subjects.heartbeat(beat.host), codec.encode(beat), inbox, {}))

    async def ended(self) -> list[Any]:
        return await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_heartbeats_that_arrive_together_are_answered_by_one_task() -> None:
    """Each gets its own answer: the host whose claim does not stand hears so, the others that theirs does."""
    rig = Rig()
    for number in range(HOSTS):
        rig.hear(number, session="another's" if number == 7 else "s")
    await rig.ended()
    assert rig.begun == {"heartbeat-acks": 1}
    assert {inbox: ack.claimed for inbox, ack in rig.bus.acks.items()} == {
        f"{subjects.INBOXES}{number}": number != 7 for number in range(HOSTS)
    }


async def test_an_answer_that_cannot_be_sent_does_not_end_the_answering() -> None:
    """Heartbeats that arrive later are answered, once the connection is back."""
    rig = Rig()
    rig.bus.broken = True
    rig.hear(1)
    [error] = await rig.ended()
    assert isinstance(error, Unavailable)
    rig.bus.broken = False
    rig.hear(2)
    await rig.ended()
    assert set(rig.bus.acks) == {f"{subjects.INBOXES}2"}


@pytest.mark.parametrize("reply", ["", subjects.FENCE, subjects.launch("mm1", "red", "a")])
async def test_an_answer_goes_to_an_inbox_or_nowhere(reply: str) -> None:
    """Nobody can have the leader's own words delivered where commands and records are."""
    rig = Rig()
    rig.hear(1, reply=reply)
    await rig.ended()
    assert rig.bus.acks == {}
    assert rig.inventory.state("h1") == "alive", "it was heard all the same"


async def test_hosts_that_come_back_together_are_asked_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are asked, and none twice, however often they are heard meanwhile."""
    monkeypatch.setattr(inventory_module, "INVENTORIES_AT_ONCE", 10)
    rig = Rig()
    for _ in range(2):
        for number in range(HOSTS):
            rig.inventory.hosts[f"h{number}"].reports = -1
            rig.hear(number)
    await rig.ended()
    assert rig.bus.most_open == 10
    assert rig.begun["inventory"] == HOSTS
    assert {seen.reports for seen in rig.inventory.hosts.values()} == {0}
