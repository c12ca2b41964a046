"""A leader that dies between two batches of one decision: the next one goes on, and a repeat doubles nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.leader_rig import Term, term
from tests.unit.repair_cases import VM

from shoal.bus.memory_streams import MemoryState
from shoal.bus.protocol import Write
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, Power
from shoal.messages.schedule import Schedule
from shoal.messages.vms import FlushVMs, StartVMs
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord, NamespaceSave, QueueEntry
from shoal_orchestrator.handlers.carrying_out import await_plan
from shoal_orchestrator.handlers.saving import end_save
from shoal_orchestrator.handlers.schedule import schedule
from shoal_orchestrator.handlers.starting import start_vms
from shoal_orchestrator.handlers.vms import flush_vms

#: more than one batch of records
MANY = 1200
HOSTS = ("h1", "h2")
RECORDS = tuple(HostRecord(name=host, incarnation="inc") for host in HOSTS)


class Killed:
    """Counts the batches of a stream, and takes none any more after so many."""

    def __init__(self, stream: MemoryState, after: int) -> None:
        self.batches = 0
        self._after = after
        self._commit = stream.commit

    async def commit(self, writes: Sequence[Write], *, fence: int) -> int:
        if self.batches >= self._after:
            await asyncio.Event().wait()
        self.batches += 1
        return await self._commit(writes, fence=fence)


def many(power: Power) -> list[LaunchRecord]:
    """So many VMs of namespace red, on both hosts."""
    return [
        replace(VM, name=f"vm{n}", id=n, instance=f"i{n}", host=HOSTS[n % 2], power=power)
        for n in range(MANY)
    ]


@contextlib.asynccontextmanager
async def killed_in(
    monkeypatch: pytest.MonkeyPatch, one: Term, work: Coroutine[Any, Any, Any], after: int
) -> AsyncIterator[None]:
    """Do the work until the leader is killed after so many more batches; what it began stays as it is meanwhile."""
    with monkeypatch.context() as patched:
        patched.setattr(one.stream, "commit", Killed(one.stream, after).commit)
        doing = asyncio.ensure_future(work)
        for _ in range(200):
            await asyncio.sleep(0)
        doing.cancel()
        one.end()
        await asyncio.wait((doing,))
    yield


@pytest.mark.parametrize("after", range(8))
async def test_a_queue_of_several_batches_is_launched_once(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever the leader dies: 1,200 VMs are asked for, and 1,200 there are."""
    red = NamespaceRecord(name="red", hosts="h1,h2", queueing=True, next_entry=MANY)
    async with term(red, *RECORDS) as one:
        await one.put(
            *(QueueEntry(namespace="red", entry=number, count=1, config=VMConfig()) for number in range(MANY))
        )
        one.alive(*HOSTS)
        first = schedule(one.leader, "red", Schedule(id="r1"), one.call("r1"))
        async with killed_in(monkeypatch, one, first, after), term(stream=one.stream) as following:
            following.alive(*HOSTS)
            following.background.resume()
            await asyncio.sleep(0)
            call = following.call("r1")
            known = following.leader.model.requests.get("r1")
            if known is not None and known.plan:
                again = await_plan(following.leader, "red", known.plan, call)
            else:
                again = schedule(following.leader, "red", Schedule(id="r1"), call)
            launched = await following.until_done(again)
            assert launched.count == MANY
            assert launched.failures == ()
            names = Counter(record.name for record in following.leader.model.instances.values())
            assert names == Counter(f"vm-{number}" for number in range(MANY))
            assert following.leader.model.queues["red"] == {}
            assert following.failed == []


@pytest.mark.parametrize("after", range(4))
async def test_starting_several_batches_again_is_no_error(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The repeat of a request that was carried out in part finds running what it asked for."""
    async with term(NamespaceRecord(name="red", hosts="h1,h2"), *RECORDS) as one:
        await one.put(*many("paused"))
        one.alive(*HOSTS)
        one.hosts_obey()
        request = StartVMs(target=f"vm[0-{MANY - 1}]", id="r1")
        first = start_vms(one.leader, "red", request, one.call("r1"))
        async with killed_in(monkeypatch, one, first, after), term(stream=one.stream) as following:
            following.alive(*HOSTS)
            following.hosts_obey()
            started = await following.until_done(
                start_vms(following.leader, "red", request, following.call("r1"))
            )
            assert started.count == MANY
            assert started.failures == ()
            assert len(following.wanted()) == MANY


@pytest.mark.parametrize("after", range(4))
async def test_all_vms_that_a_save_has_paused_go_on(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """That the save has ended is stored with the last of them."""
    names = f"vm[0-{MANY - 1}]"
    save = NamespaceSave(name="m", vms=names, total=MANY, resume=names)
    async with term(NamespaceRecord(name="red", hosts="h1,h2", save=save), *RECORDS) as one:
        await one.put(*many("paused"))
        one.alive(*HOSTS)
        ending = end_save(one.leader, "red", "")
        async with killed_in(monkeypatch, one, ending, after), term(stream=one.stream) as following:
            following.alive(*HOSTS)
            following.background.resume()
            await following.until_quiet()
            record = following.leader.model.namespaces["red"]
            assert record.save is not None
            assert record.save.state in ("completed", "failed")
            assert len(following.wanted()) == MANY


@pytest.mark.parametrize("after", range(4))
async def test_flushing_several_batches_again_is_no_error(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """What the first leader has flushed is not missing."""
    async with term(NamespaceRecord(name="red", hosts="h1,h2"), *RECORDS) as one:
        await one.put(*many("off"))
        one.alive(*HOSTS)
        one.hosts_obey()
        request = FlushVMs(target=f"vm[0-{MANY - 1}]", id="r1")
        first = flush_vms(one.leader, "red", request, one.call("r1"))
        async with killed_in(monkeypatch, one, first, after), term(stream=one.stream) as following:
            following.alive(*HOSTS)
            following.hosts_obey()
            flushed = await flush_vms(following.leader, "red", request, following.call("r1"))
            assert (flushed.count, flushed.failures) == (MANY, ())
            assert following.leader.model.launches["red"] == {}
