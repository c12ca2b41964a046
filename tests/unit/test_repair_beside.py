"""`doctor --repair` while the cluster goes on: the hosts are asked, and what changes meanwhile is not undone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from tests.unit.leader_rig import planned, term
from tests.unit.repair_cases import VM, status

from shoal.messages.doctor import RepairCluster
from shoal.messages.repair_requests import HeldRecords
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord
from shoal_orchestrator.handlers.carrying_out import run_plan
from shoal_orchestrator.handlers.repairing import repair_cluster

REPAIR = RepairCluster(sure="--yes")
#: several slices of a plan
MANY = 2000


class SlowWorkers:
    """Hosts that tell what they hold once they may."""

    def __init__(self, held: Mapping[str, HeldRecords]) -> None:
        self._held = held
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    async def ask(self, host: str, *_: Any) -> HeldRecords:
        self.asked.set()
        await self.may.wait()
        return self._held[host]


async def test_a_launch_goes_on_while_hosts_are_asked() -> None:
    """All of its VMs have records in the end, and the repair leaves those alone that came meanwhile."""
    plan, records = planned(f"vm[0-{MANY - 1}]", "mm1")
    workers = SlowWorkers({"mm1": HeldRecords(incarnation="inc")})
    host = HostRecord(name="mm1", incarnation="inc")
    async with term(NamespaceRecord(name="red"), host, *records, workers=workers) as one:
        one.alive("mm1")
        repair = asyncio.ensure_future(repair_cluster(one.leader, "", REPAIR, one.call()))
        await workers.asked.wait()
        launch = asyncio.ensure_future(run_plan(one.leader, plan, lambda *_: None))
        await one.until_quiet()
        workers.may.set()
        assert (await repair).done
        await one.until_quiet()
        launch.cancel()
        assert len(one.leader.model.launches["red"]) == MANY


async def test_what_was_buried_while_hosts_are_asked_stays_buried() -> None:
    """A host has told of a VM that is gone by the time when all have answered: it does not come back."""
    old = replace(VM, power="gone")
    told = HeldRecords(
        incarnation="inc", launches=(replace(VM, revision=VM.revision - 1),), vms=(status(VM, "RUNNING"),)
    )
    workers = SlowWorkers({"mm1": told})
    host = HostRecord(name="mm1", incarnation="inc")
    async with term(NamespaceRecord(name="red"), host, old, workers=workers) as one:
        one.alive("mm1")
        repair = asyncio.ensure_future(repair_cluster(one.leader, "", REPAIR, one.call()))
        await workers.asked.wait()
        one.hear(one.report("mm1", 1, status(old, "QUIT", gone=True)))
        await one.until_quiet()
        assert one.leader.model.leaving == {}
        workers.may.set()
        await repair
        await one.until_quiet()
        assert one.leader.model.instances == {}
        assert one.leader.model.launches["red"] == {}


async def test_tombstones_wait_while_nothing_may_be_changed() -> None:
    """A report that a VM is gone comes while records are rebuilt: its record goes as soon as they are."""
    old = replace(VM, power="gone")
    async with term(NamespaceRecord(name="red"), HostRecord(name="mm1", incarnation="inc"), old) as one:
        one.alive("mm1")
        with one.store.held("busy"):
            one.hear(one.report("mm1", 1, status(old, "QUIT", gone=True)))
            await one.until_quiet()
            assert len(one.leader.model.leaving) == 1
        watching = asyncio.ensure_future(one.background.run())
        await one.until_quiet()
        watching.cancel()
        assert one.leader.model.leaving == {}
        assert one.failed == []


async def test_a_change_of_the_cluster_meanwhile_is_kept() -> None:
    """What is worked out is stored in the same moment: nothing of it is older than what else is decided."""
    host = HostRecord(name="mm1", incarnation="inc")
    workers = SlowWorkers({"mm1": HeldRecords(incarnation="inc", launches=(VM,), vms=(status(VM),))})
    async with term(NamespaceRecord(name="red"), host, workers=workers) as one:
        one.alive("mm1")
        repair = asyncio.ensure_future(repair_cluster(one.leader, "", REPAIR, one.call()))
        await workers.asked.wait()
        workers.may.set()
        while not one.leader.model.instances:
            await asyncio.sleep(0)
        changes = Changes()
        changes.put(replace(one.leader.cluster, blacklist=(77,)))
        await one.leader.commit(changes)
        await repair
        await one.until_quiet()
        assert one.leader.cluster.blacklist == (77,)
