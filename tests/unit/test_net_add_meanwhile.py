"""`vm net add` waits, for the store and for guests: what others do meanwhile is not undone, nor built upon."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace
from tests.unit.leader_rig import term
from tests.unit.repair_cases import VM
from tests.unit.test_several_batches import HOSTS, RECORDS

from shoal.errors import Refused
from shoal.messages.schedule import Launched
from shoal.messages.vlans import AddBridge, ClearVLANs, RemoveBridge
from shoal.messages.vms import AddNet, KillVMs
from shoal_orchestrator.core.records import BridgeRecord, NamespaceRecord
from shoal_orchestrator.handlers import nets, vlans, vms

RED = NamespaceRecord(name="red", hosts="h1,h2")
BLUE = NamespaceRecord(name="blue", hosts="h1,h2")


async def nothing(*_: Any) -> Launched:
    """An answer with nothing in it."""
    return Launched()


async def test_a_vm_that_was_killed_meanwhile_stays_killed(monkeypatch: Any) -> None:
    """One guest has no room for the interface, which is taken back; it was killed while another guest was asked."""
    monkeypatch.setattr(vms, "collect", nothing)
    asked, may = asyncio.Event(), asyncio.Event()

    async def ask(_: str, question: Any, __: Any = None) -> None:
        if question.instance == "ia":
            raise Refused("no more PCI slots")
        asked.set()
        await may.wait()

    async with term(RED, *RECORDS, workers=SimpleNamespace(ask=ask)) as one:
        await one.put(
            replace(VM, name="a", instance="ia", host="h1"),
            replace(VM, name="b", id=1, instance="ib", host="h2"),
        )
        one.alive(*HOSTS)
        one.hosts_obey()
        adding = asyncio.ensure_future(
            nets.add_net(one.leader, "red", AddNet(target="a,b", networks=("LAN",)), one.call("r1"))
        )
        await one.until_done(asked.wait())
        killed = await one.until_done(vms.kill_vms(one.leader, "red", KillVMs(target="a"), one.call("r2")))
        assert killed.vms == "a"
        may.set()
        added = await one.until_done(asyncio.wait_for(adding, 20))
        assert added.vms == "b"
        now = one.leader.model.launches["red"]["a"]
        assert now.power == "off"


async def test_a_bridge_that_has_gone_is_not_used() -> None:
    """Its key may be that of another namespace's bridge by then: the VM must not get onto it."""
    red = replace(RED, bridges={"lan": BridgeRecord(key=1)})
    async with term(red, BLUE, *RECORDS, workers=SimpleNamespace(ask=nothing)) as one:
        await one.put(replace(VM, host="h1"))
        one.alive(*HOSTS)
        one.hosts_obey()
        work = [
            nets.add_net(one.leader, "red", AddNet(target="a", networks=("lan,LAN",)), one.call("r1")),
            vlans.remove_bridge(one.leader, "red", RemoveBridge(bridge="lan"), one.call("r2")),
            vlans.add_bridge(one.leader, "blue", AddBridge(bridge="priv"), one.call("r3")),
        ]
        tasks: list[asyncio.Future[Any]] = []
        for each in work:
            tasks.append(asyncio.ensure_future(each))
            await asyncio.sleep(0)
        await one.until_done(asyncio.wait(tasks, timeout=20))
        taken = {bridge.key for bridge in one.leader.model.namespaces["blue"].bridges.values()}
        assert taken == {1}
        (port,) = one.leader.model.launches["red"]["a"].ports
        assert port.vni // 4096 not in taken


async def test_an_alias_is_in_use_from_the_moment_that_it_has_a_number() -> None:
    """Nobody clears it before the VM has it, and gives its number to another tenant."""
    async with term(RED, BLUE, *RECORDS, workers=SimpleNamespace(ask=nothing)) as one:
        await one.put(
            replace(VM, host="h1"), replace(VM, namespace="blue", name="b", instance="ib", host="h2")
        )
        one.alive(*HOSTS)
        one.hosts_obey()
        model = one.leader.model
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(
                nets.add_net(one.leader, "red", AddNet(target="a", networks=("LAN",)), one.call("r1"))
            )
        ]
        while not model.namespaces["red"].aliases:
            await asyncio.sleep(0)
        tasks.append(
            asyncio.ensure_future(
                vlans.clear_vlans(one.leader, "red", ClearVLANs(prefix="LAN"), one.call("r2"))
            )
        )
        tasks.append(
            asyncio.ensure_future(
                nets.add_net(one.leader, "blue", AddNet(target="b", networks=("SECRET",)), one.call("r3"))
            )
        )
        await one.until_done(asyncio.wait(tasks, timeout=20))
        (ours,) = model.launches["red"]["a"].ports
        (theirs,) = model.launches["blue"]["b"].ports
        assert ours.vni != theirs.vni
