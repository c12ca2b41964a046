"""What type checkers say of programs that use the client: checked by mypy, never run.

Right uses have the types that `assert_type` names; each wrong one bears a `type: ignore` with mypy's own code, and
mypy complains of one that would not be needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import assert_type

import shoal
from shoal.messages.base import HostAnswer, Progress
from shoal.messages.events import Event
from shoal.messages.hosts import HostRow
from shoal.messages.namespaces import NamespaceReady, NamespaceRow
from shoal.messages.running import RunOnHosts
from shoal.messages.schedule import DryRun, Explained, ExplainVM, Launched, Planned
from shoal.messages.vlans import AddBridge
from shoal.messages.vms import Changed, ListVMs, VMRow


async def replies(client: shoal.Client) -> None:
    """A reply's type follows from its request's."""
    ns = client.namespace("red")
    assert_type(ns, shoal.NamespaceHandle)
    assert_type(ns.vm("web1"), shoal.VMHandle)
    assert_type(await client.call(DryRun(), namespace="red"), Planned)
    assert_type(await ns.call(ExplainVM(vm="web1")), Explained)
    assert_type(await ns.create(), NamespaceReady)
    assert_type(await ns.launch("web[1-3]", shoal.VMConfig(vcpus=2)), Launched)
    assert_type(await ns.vm("web1").start(), Changed)
    assert_type(await ns.vm("web1").row(), VMRow)
    assert_type(await ns.vm("web1").wait("RUNNING", timeout_s=5), VMRow)
    assert_type(await ns.wait("web[1-3]", "RUNNING", timeout_s=5), list[VMRow])
    assert_type(await asyncio.create_task(ns.start()), Changed)
    assert_type((await ns.call(ListVMs())).items, tuple[VMRow, ...])


async def lists(client: shoal.Client) -> None:
    """Rows have types, of lists in pages too."""
    ns = client.namespace("red")
    assert_type(await ns.vms(), list[VMRow])
    assert_type(await client.hosts(), list[HostRow])
    assert_type(await client.namespaces(), list[NamespaceRow])
    assert_type(ns.items(RunOnHosts(command=("version",))), shoal.Listing[HostAnswer])
    assert_type(client.items(ListVMs(), namespace="red"), shoal.Listing[VMRow])
    assert_type(aiter(ns.vms()), AsyncIterator[VMRow])


async def streams(client: shoal.Client) -> None:
    """Events and progress have types."""
    async with client.namespace("red").events(since=5) as events:
        assert_type(await anext(events), Event)
        assert_type(events.position, int)
    launching = client.namespace("red").launch("3")
    async for step in launching:
        assert_type(step, Progress)
    assert_type(await launching, Launched)


async def misuse(client: shoal.Client) -> None:
    """What cannot work is an error before it is run."""
    ns = client.namespace("red")
    await ns.wait("web1", "RUNING", timeout_s=5)  # type: ignore[arg-type]
    await ns.wait("web1", "RUNNING")  # type: ignore[call-arg]
    await ns.launch(3)  # type: ignore[arg-type]
    await ns.launch("3", {"vcpus": 2})  # type: ignore[arg-type]
    await ns.call("vm info")  # type: ignore[arg-type]
    await ns.call(DryRun)  # type: ignore[arg-type]
    client.items(AddBridge(bridge="lan"))  # type: ignore[arg-type]
    print(ns.vms().items)  # type: ignore[attr-defined]
    print((await ns.start()).launched)  # type: ignore[attr-defined]
    shoal.VMConfig(memory="2G")  # type: ignore[call-arg]
    shoal.VMConfig(networks=shoal.NetSpec(vlan="LAN"))  # type: ignore[arg-type]
    ns.events(since="yesterday")  # type: ignore[arg-type]
    for _ in ns.vms():  # type: ignore[attr-defined]
        pass
    AddBridge("lan")  # type: ignore[call-arg]
