"""A command about host taps that comes again, to another leader, goes on where its predecessor ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from shoal.errors import Conflict, NotFound, Unavailable
from shoal.messages.desired import TapRecord, TapStatus
from shoal.messages.taps import CreateTap, DeleteTap
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import SeenHost
from shoal_orchestrator.core.records import ClusterRecord, HostRecord, NamespaceRecord
from shoal_orchestrator.handlers import taps

TAP = TapRecord(
    namespace="red",
    tap="t0",
    revision=1,
    host="mm1",
    incarnation="i",
    bridge="mega_bridge",
    vlan=101,
    segment="s",
)


class Leading:
    """A leader with one host, which carries out at once what is stored."""

    def __init__(self, *made: TapRecord, state: str = "alive") -> None:
        self.model = Model()
        self.seen = SeenHost()
        self.stored: list[Changes] = []
        self.by_request = 0
        self.inventory: Any = SimpleNamespace(
            hosts={"mm1": self.seen}, state=lambda _: state, wait_for=self._wait_for
        )
        self.cluster = ClusterRecord(store="s", head="mm1")
        host, namespace = HostRecord(name="mm1", incarnation="i"), NamespaceRecord(name="red")
        for record in (self.cluster, host, namespace, *made):
            self.model.apply(subject_of(record), record)
        for tap in made:
            self.seen.taps["red", tap.tap] = TapStatus(namespace="red", tap=tap.tap, revision=1, up=True)

    def namespace(self, name: str) -> NamespaceRecord:
        return self.model.namespaces[name]

    async def _wait_for(self, done: Any) -> None:
        assert done()

    async def commit(self, changes: Changes) -> None:
        self.stored.append(changes)
        for tap in [record for record in changes.writes.values() if isinstance(record, TapRecord)]:
            self.model.apply(subject_of(tap), None if tap.removed else tap)
            self.seen.taps["red", tap.tap] = TapStatus(
                namespace="red", tap=tap.tap, revision=tap.revision, up=True
            )

    def call(self, *, repeat: bool) -> Any:
        async def commit(changes: Changes, *_: object) -> None:
            self.by_request += bool(changes)
            await self.commit(changes)

        return SimpleNamespace(repeat=repeat, commit=commit, progress=lambda *_: None)

    async def create(self, tap: str, *, repeat: bool) -> str:
        leader: Any = self
        request = CreateTap(vlan="101", tap=tap, host="mm1")
        return (await taps.create_tap(leader, "red", request, self.call(repeat=repeat))).text

    async def delete(self, *, repeat: bool) -> None:
        leader: Any = self
        await taps.delete_tap(leader, "red", DeleteTap(tap="t0"), self.call(repeat=repeat))


@pytest.mark.parametrize("state", ["alive", "suspect"])
async def test_a_tap_that_was_stored_already_is_waited_for(state: str) -> None:
    """The first leader died after it had stored the tap: the repeat is no error, whatever its host is by then."""
    leader = Leading(TAP, state=state)
    assert await leader.create("t0", repeat=True) == "t0"
    assert not any(leader.stored)


async def test_a_tap_that_is_there_cannot_be_created() -> None:
    """For a request that comes for the first time the name is taken."""
    with pytest.raises(Conflict, match="tap already on bridge"):
        await Leading(TAP).create("t0", repeat=False)


async def test_a_tap_without_a_name_is_not_made_twice() -> None:
    """Nobody knows which one the first leader made: a second is not made, and the answer says where to look."""
    leader = Leading(replace(TAP, tap="mega_tap0"))
    with pytest.raises(Unavailable, match="`tap` shows"):
        await leader.create("", repeat=True)
    assert not leader.stored


async def test_a_tap_that_was_removed_already_is_no_error() -> None:
    """The first leader died after the tap was gone: the repeat is answered; a first request for it is refused."""
    await Leading().delete(repeat=True)
    with pytest.raises(NotFound, match="not a host tap"):
        await Leading().delete(repeat=False)


async def test_a_removal_is_stored_with_its_request() -> None:
    """So that another leader knows a repeat for one."""
    leader = Leading(TAP)
    await leader.delete(repeat=False)
    assert leader.by_request == 1
    assert not leader.model.taps["red"]
