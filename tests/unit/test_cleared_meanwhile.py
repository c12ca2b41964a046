"""Namespaces that are cleared while something else goes on in them, or while their leader dies."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.leader_rig import term
from tests.unit.repair_cases import VM
from tests.unit.test_several_batches import HOSTS, MANY, RECORDS, killed_in

from shoal.core.vmconfig import VMConfig
from shoal.errors import NotFound, Refused
from shoal.messages.namespaces import ClearNamespace
from shoal.messages.schedule import Schedule
from shoal_orchestrator.core.records import NamespaceRecord, QueueEntry
from shoal_orchestrator.handlers.namespaces import clear_namespace
from shoal_orchestrator.handlers.schedule import schedule

#: hosts that have no captures
WORKERS: Any = SimpleNamespace(ask_all=lambda *_: answered())
RED = NamespaceRecord(name="red", hosts="h1,h2", queueing=True, next_entry=2)


async def answered() -> tuple[dict[str, Any], dict[str, Any]]:
    return {}, {}


@pytest.mark.parametrize("launched", [1, 400, 800])
async def test_a_launch_ends_with_its_namespace(launched: int) -> None:
    """What was launched by then goes, the rest is never launched, and whoever waits for it is told."""
    async with term(RED, *RECORDS, workers=WORKERS) as one:
        await one.put(QueueEntry(namespace="red", entry=1, count=2000, config=VMConfig()))
        one.alive(*HOSTS)
        launching = asyncio.ensure_future(schedule(one.leader, "red", Schedule(), one.call("r1")))
        while len(one.leader.model.launches["red"]) < launched:
            await asyncio.sleep(0)
        background = asyncio.ensure_future(one.background.run())
        clearing = clear_namespace(one.leader, "", ClearNamespace(name="red"), one.call("r2"))
        cleared = await one.until_done(clearing)
        assert cleared.namespaces == ("red",)
        with pytest.raises(NotFound, match="red"):
            await one.until_done(asyncio.wait_for(launching, 20))
        await one.until_quiet()
        background.cancel()
        assert one.leader.model.namespaces.keys() == {"minimega"} & one.leader.model.namespaces.keys()
        assert one.leader.model.launches["red"] == {}
        assert one.leader.model.plans["red"] == {}


@pytest.mark.parametrize("after", [1, 2])
async def test_a_successor_clears_what_the_lost_batches_had(
    monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The leader dies within it: every namespace that was meant is cleared, with all of its VMs."""
    blue = NamespaceRecord(name="blue", hosts="h1,h2")
    async with term(blue, RED, *RECORDS, workers=WORKERS) as one:
        vms = [
            replace(VM, namespace="blue", name=f"vm{n}", id=n, instance=f"i{n}", host=HOSTS[n % 2])
            for n in range(MANY)
        ]
        await one.put(*vms, replace(VM, name="x", instance="ix", host="h1"))
        one.alive(*HOSTS)
        one.hosts_obey()
        clearing = clear_namespace(one.leader, "", ClearNamespace(name="all"), one.call("r1"))
        async with (
            killed_in(monkeypatch, one, clearing, after),
            term(stream=one.stream, workers=WORKERS) as following,
        ):
            following.alive(*HOSTS)
            following.background.resume()

            async def gone() -> None:
                while following.leader.model.namespaces:
                    await asyncio.sleep(0)

            await following.until_done(gone())
            assert following.leader.model.instances == {}
            assert following.wanted() == []


async def test_a_namespace_that_a_repair_has_kept_is_not_forgotten_later() -> None:
    """Its clearing was given up; what waited for the end of it says so, and takes nothing away."""
    leaving = replace(VM, power="gone")
    async with term(RED, leaving, *RECORDS, workers=WORKERS) as one:
        one.alive(*HOSTS)
        clearing = asyncio.ensure_future(
            clear_namespace(one.leader, "", ClearNamespace(name="red"), one.call("r1"))
        )
        await one.until_quiet()
        assert one.leader.model.namespaces["red"].clearing
        await one.put(replace(one.leader.model.namespaces["red"], clearing=False))
        one.inventory.tell()
        with pytest.raises(Refused, match="given up by a repair"):
            await asyncio.wait_for(clearing, 20)
        assert not one.leader.model.namespaces["red"].clearing
