"""What was decided from a record that has changed since is not carried out: nothing runs twice, or is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Literal

import pytest
from msgspec.structs import replace
from tests.unit.leader_rig import Term, planned, term
from tests.unit.repair_cases import VM, status

from shoal.messages.schedule import Launched
from shoal.messages.vms import KillVMs, StartVMs
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord
from shoal_orchestrator.handlers import carrying_out, starting, vms
from shoal_orchestrator.relaunching import Relaunching

#: more than two slices of VMs that are moved
STRANDED = 900
HOSTS = [f"h{number}" for number in range(1, 6)]


async def with_stranded(one: Term, recovery: Literal["none", "relaunch"]) -> None:
    """A namespace whose VMs are all on a host that an operator has declared dead."""
    await one.put(
        NamespaceRecord(name="red", hosts="dead,h[1-5]", recovery=recovery),
        HostRecord(name="dead", incarnation="inc", fenced=True),
        *(HostRecord(name=host, incarnation="inc") for host in HOSTS),
        *(
            replace(VM, name=f"vm{number}", id=number, instance=f"i{number}", host="dead")
            for number in range(STRANDED)
        ),
    )
    one.alive(*HOSTS)
    one.inventory.hosts["dead"].state = "lost"


async def test_two_that_launch_the_same_vms_of_a_dead_host_launch_each_once() -> None:
    """The second comes between two slices of the first, with VMs that the first had placed."""
    async with term() as one:
        await with_stranded(one, "none")
        starts = []
        for target in (f"vm[0-{STRANDED - 1}]", "vm[451-899]"):
            work = starting.start_vms(one.leader, "red", StartVMs(target=target), one.call())
            starts.append(asyncio.ensure_future(work))
            await asyncio.sleep(0)
        await one.until_quiet()
        for start in starts:
            start.cancel()
        times = Counter(record.name for record in one.wanted())
        assert times == Counter(f"vm{number}" for number in range(STRANDED))


async def test_what_was_killed_meanwhile_is_not_launched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ns recovery relaunch` has placed VMs that are killed before it comes to them."""
    async with term() as one:
        await with_stranded(one, "relaunch")
        monkeypatch.setattr(vms, "collect", nothing_collected)
        relaunching = asyncio.ensure_future(Relaunching(one.leader).run())
        await asyncio.sleep(0)
        killed = await vms.kill_vms(one.leader, "red", KillVMs(target="vm[850-899]"), one.call())
        assert killed.count == 50
        await one.until_quiet()
        relaunching.cancel()
        times = Counter(record.name for record in one.wanted())
        assert times == Counter(f"vm{number}" for number in range(850))


async def nothing_collected(*_: object) -> Launched:
    """No captures have ended with the VMs."""
    return Launched()


async def test_a_host_that_has_buried_a_vm_does_not_bury_the_next_of_its_name() -> None:
    """The report that the old one is gone comes while the new one is written."""
    async with term() as one:
        plan, records = planned("a", "mm1")
        old = replace(VM, power="gone", instance="old")
        await one.put(NamespaceRecord(name="red"), HostRecord(name="mm1", incarnation="inc"), old, *records)
        one.alive("mm1")
        gone = one.report("mm1", 1, status(old, "QUIT", gone=True))
        run = asyncio.ensure_future(carrying_out.run_plan(one.leader, plan, lambda *_: None))
        asyncio.get_running_loop().call_soon(one.hear, gone)
        await one.until_quiet()
        run.cancel()
        (launched,) = one.leader.model.launches["red"].values()
        assert launched.instance != "old"
        assert launched.plan == "p"
