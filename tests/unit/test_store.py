"""What the leader stores: a record that the server would not take is refused before anything is changed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from shoal import codec, subjects
from shoal.bus.memory_bus import MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.bus.protocol import Stored, Write
from shoal.errors import Refused, StoreUnavailable, TimedOut
from shoal.messages.base import Said
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.leases import Deposed, Lead, read_fence
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord, RequestRecord
from shoal_orchestrator.core.repairing import Rebuilt
from shoal_orchestrator.core.stored_records import MAX_RECORD_BYTES
from shoal_orchestrator.leader import Call
from shoal_orchestrator.rebuilding import store_rebuilt
from shoal_orchestrator.store import SLICE, Store


def store() -> Store:
    stream: Any = None
    return Store(stream, random.Random(1))


async def test_a_record_that_is_too_large_changes_nothing() -> None:
    """Its batch would be refused for ever and end the term: neither it nor what comes with it is applied."""
    leading = store()
    changes = Changes()
    changes.put(
        NamespaceRecord(name="red", hosts="mm1"),
        RequestRecord(id="1", slot=0, reply="x" * MAX_RECORD_BYTES, plan=""),
    )
    with pytest.raises(Refused, match="in smaller parts"):
        leading.submit(changes)
    assert leading.model.namespaces == {}
    assert leading.model.requests == {}


@pytest.mark.parametrize("text", ["short", '"' * 1_000_000])
async def test_an_outcome_that_is_too_large_is_not_kept(text: str) -> None:
    """The change that a request made is stored with a mark that it was begun, however long its answer is."""
    leading = store()

    async def commit(changes: Changes) -> None:
        leading.submit(changes)

    leader: Any = SimpleNamespace(model=leading.model, next_slot=lambda: 0, commit=commit)
    changes = Changes()
    changes.put(NamespaceRecord(name="red", hosts="mm1"))
    reply = Said(text=text)
    await Call(leader, "id1", lambda *_: None).commit(changes, reply)
    assert list(leading.model.namespaces) == ["red"]
    kept = leading.model.requests["id1"].reply
    assert kept == (msgspec.json.encode(reply).decode() if text == "short" else "")


@contextlib.asynccontextmanager
async def leading() -> AsyncIterator[tuple[Store, MemoryStreams]]:
    """A leader's store over streams in memory, with a cluster's record in it."""
    server = MemoryServer()
    streams = MemoryStreams(server)
    bus = server.connect("t")
    held = Store(MemoryState(bus, streams), random.Random(1))
    await held.take_over(Lead())
    running = asyncio.ensure_future(held.run())
    try:
        await held.submit(changed(ClusterRecord(store="s", head="head")))
        yield held, streams
    finally:
        running.cancel()
        await asyncio.wait((running,))
        await bus.close()


def changed(*records: msgspec.Struct) -> Changes:
    changes = Changes()
    changes.put(*records)
    return changes


def marked(streams: MemoryStreams) -> str:
    stored = streams.stored[subjects.CLUSTER]
    return codec.decode(stored.body, ClusterRecord).frozen


async def test_a_store_that_lost_its_end_is_noticed_by_its_numbers() -> None:
    """The lease is as it was, and what came after it is not: the next batch gets a number that was given before."""
    async with leading() as (held, streams):
        await held.submit(changed(*(NamespaceRecord(name=f"n{number}") for number in range(5))))
        streams.last -= 3
        await held.submit(changed(NamespaceRecord(name="late")))
        assert "after" in held.frozen
        with pytest.raises(Refused, match="went backwards"):
            held.submit(changed(NamespaceRecord(name="later")))
        await held.renew()
        assert marked(streams) == held.frozen


async def test_an_older_copy_is_noticed_by_the_lease() -> None:
    """Only the leader writes it: one that is not the last is from before."""
    async with leading() as (held, streams):
        copy = streams.copy()
        await held.submit(changed(NamespaceRecord(name="red")))
        streams.go_back(copy)
        await held.submit(changed(NamespaceRecord(name="blue")))
        assert "its lease has sequence" in held.frozen
        await held.renew()
        assert marked(streams) == held.frozen


class Doubtful(MemoryState):
    """Its next batch is not answered; in the doubt that follows, something happens after the first reading."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def commit(self, writes: Sequence[Write], *, fence: int) -> int:
        if self.meanwhile is not None:
            raise TimedOut("no answer")
        return await super().commit(writes, fence=fence)

    async def get(self, subject: str) -> Stored | None:
        found = await super().get(subject)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return found


async def test_a_successor_is_not_taken_for_an_older_copy() -> None:
    """Another leader takes over while one looks what is stored: that one is deposed, does not freeze, and writes nothing."""
    server = MemoryServer()
    streams = MemoryStreams(server)
    mine, others = Doubtful(server.connect("a"), streams), MemoryState(server.connect("b"), streams)
    held, following = Store(mine, random.Random(1)), Store(others, random.Random(2))
    await held.take_over(Lead())

    async def take_over() -> None:
        await following.take_over(Lead(streams.get(subjects.FENCE), streams.get(subjects.LEASE)))

    mine.meanwhile = take_over
    stored = held.submit(changed(NamespaceRecord(name="red")))
    with pytest.raises(Deposed):
        async with asyncio.timeout(10):
            await held.run()
    with pytest.raises(StoreUnavailable):
        await stored
    assert (held.frozen, streams.get(subjects.namespace_record("red"))) == ("", None)


async def test_the_next_leader_of_a_frozen_store_is_frozen_too() -> None:
    """Its epoch is higher than any that hosts have seen: the mark tells what they cannot any more."""
    async with leading() as (held, streams):
        held.freeze("for a test")
        await held.renew()
        bus = MemoryServer().connect("other")
        following = Store(MemoryState(bus, streams), random.Random(2))
        found = Lead(streams.get(subjects.FENCE), streams.get(subjects.LEASE))
        await following.take_over(found)
        assert following.frozen == held.frozen
        assert following.fence.epoch == held.fence.epoch + 1
        with pytest.raises(Refused):
            following.submit(changed(NamespaceRecord(name="red")))
        await bus.close()


def rebuilt(*records: msgspec.Struct) -> Rebuilt:
    return Rebuilt(changed(*records), (), ClusterRecord(store="s", head="head"))


async def test_a_store_that_was_rebuilt_is_another_one_and_has_everything() -> None:
    """What the leader knows is stored, what it does not know is deleted, and the fence names the stores before."""
    async with leading() as (held, streams):
        await held.submit(changed(NamespaceRecord(name="deleted")))
        copy = streams.copy()
        gone = Changes()
        gone.delete(NamespaceRecord(name="deleted"))
        await held.submit(gone)
        await held.submit(changed(NamespaceRecord(name="known")))
        streams.go_back(copy)
        await held.renew()
        assert held.frozen
        before = held.fence
        outcome = RequestRecord(id="r", slot=0, reply="{}")
        await store_rebuilt(
            held, rebuilt(NamespaceRecord(name="regained")), outcome, anew="new", lost=("lost", before.store)
        )
        assert (held.frozen, marked(streams)) == ("", "")
        assert held.fence == msgspec.structs.replace(
            before, store="new", epoch=before.epoch + 1, succeeds=(before.store, "lost")
        )
        assert read_fence(streams.get(subjects.FENCE)) == held.fence
        await held.submit(changed(NamespaceRecord(name="later")))  # under the new fence
        following = Store(MemoryState(MemoryServer().connect("other"), streams), random.Random(2))
        await following.take_over(Lead(streams.get(subjects.FENCE), streams.get(subjects.LEASE)))
        assert following.model.namespaces.keys() == {"known", "regained", "later"}
        assert following.model.requests.keys() == {"r"}
        assert following.fence.store == "new"
        assert following.fence.succeeds == held.fence.succeeds


async def test_a_new_fence_that_was_stored_although_it_timed_out_is_ours() -> None:
    """The lease of the same batch tells: whoever asked is answered, and the term goes on."""
    async with leading() as (held, streams):
        held.freeze("for a test")
        await held.renew()
        commit, late = streams.commit, [True]

        def doubtful(writes: Any, fence: int) -> int:
            last = commit(writes, fence)
            if late and any(write.subject == subjects.FENCE for write in writes):
                late.clear()
                raise TimedOut("no answer")
            return last

        streams.commit = doubtful  # type: ignore[method-assign]  # the server's answer is lost
        await store_rebuilt(held, rebuilt(), None, anew="new", lost=())
        assert late == []
        assert (held.fence.store, held.frozen) == ("new", "")
        await held.submit(changed(NamespaceRecord(name="later")))


async def test_a_store_that_is_held_is_left_as_it_was() -> None:
    """It is refused to change anything meanwhile; one that was frozen before stays so."""
    async with leading() as (held, _):
        with held.held("busy"):
            assert held.frozen == "busy"
            with pytest.raises(Refused, match="busy"):
                held.submit(changed(NamespaceRecord(name="red")))
        assert held.frozen == ""
        held.freeze("for a test")
        why = held.frozen
        with held.held("busy"):
            assert held.frozen == why
        assert held.frozen == why


async def test_a_store_that_goes_backwards_while_it_is_held_stays_frozen() -> None:
    """It is seen once: the reason for a moment does not stand before the one that stays."""
    async with leading() as (held, streams):
        await held.submit(changed(*(NamespaceRecord(name=f"n{number}") for number in range(5))))
        with held.held("busy"):
            streams.last -= 3
            await held.renew()
        assert "after" in held.frozen
        assert marked(streams) == held.frozen


async def test_a_successor_purges_what_was_deleted_beside_its_term(monkeypatch: pytest.MonkeyPatch) -> None:
    """To purge many takes longer than a lease lasts: the lead is taken and renewed meanwhile."""
    async with leading() as (held, streams):
        await held.submit(changed(*(NamespaceRecord(name=f"n{number}") for number in range(5))))
        gone = Changes()
        gone.delete(*held.model.namespaces.values())
        await held.submit(gone)
        stream = held._stream
        following = Store(stream, random.Random(2))
        fence, lease = await stream.get(subjects.FENCE), await stream.get(subjects.LEASE)
        may = asyncio.Event()
        purge = stream.purge

        async def slowly(subject: str, *, below: int) -> None:
            await may.wait()
            await purge(subject, below=below)

        monkeypatch.setattr(stream, "purge", slowly)
        async with asyncio.timeout(10):
            await following.take_over(Lead(fence, lease))
        purging = asyncio.ensure_future(following.tombstones.run())
        may.set()
        async with asyncio.timeout(10):
            while any(".namespace." in subject for subject in streams.stored):
                await asyncio.sleep(0)
        purging.cancel()
        assert following.model.namespaces == {}


async def test_all_is_well_while_nothing_goes_backwards() -> None:
    """Many batches, and deletions that are purged, freeze nothing."""
    async with leading() as (held, streams):
        for number in range(20):
            await held.submit(changed(NamespaceRecord(name=f"n{number}")))
            gone = Changes()
            gone.delete(NamespaceRecord(name=f"n{number}"))
            await held.submit(gone)
        assert held.frozen == ""
        assert held.last_sequence == streams.last


async def test_a_large_set_of_deletions_goes_in_slices() -> None:
    """More records than a batch holds are deleted together: each is gone from the store, and the term goes on."""
    async with leading() as (held, streams):
        records = [NamespaceRecord(name=f"n{number}") for number in range(2 * SLICE + 50)]
        await held.submit(changed(*records))
        gone = Changes()
        gone.delete(*records)
        async with asyncio.timeout(10):
            await held.submit(gone)
            await held.submit(changed(NamespaceRecord(name="after")))
        assert list(held.model.namespaces) == ["after"]
        left = [subject for subject, stored in streams.stored.items() if stored.body]
        kind = ".namespace."
        assert [subject for subject in left if kind in subject] == [subjects.namespace_record("after")]
