"""Interfaces are added to VMs as they are then, not as they were when the command came."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace
from tests.unit.test_mirrors import vm

from shoal.messages.vms import AddNet
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord
from shoal_orchestrator.handlers import nets


async def test_a_vm_that_is_killed_meanwhile_is_not_started_again(monkeypatch: Any) -> None:
    """A `vm kill` that comes while it is written down that this was begun is not undone by the new interface's record."""
    model = Model()
    running = vm("a")

    def put(*records: Any) -> None:
        for record in records:
            model.apply(subject_of(record), record)

    put(ClusterRecord(store="s", head="mm0"), NamespaceRecord(name="red", hosts="mm1"), running)

    async def once(_: str) -> None:
        put(replace(running, revision=2, power="off"))

    async def carried_out(_: Any, __: Any, wanted: Any, *___: object, **____: object) -> Any:
        return list(wanted)

    monkeypatch.setattr(nets, "carry_out_or_take_back", carried_out)
    leader: Any = SimpleNamespace(
        model=model, namespace=model.namespaces.__getitem__, ids=random.Random(1), inventory=None
    )
    call: Any = SimpleNamespace(once=once)
    found: Any = await nets.add_net(leader, "red", AddNet(target="a", networks=("LAN",)), call)
    ((before, after),) = found
    assert (before.power, before.revision) == ("off", 2)
    assert (after.power, after.revision, len(after.ports)) == ("off", 3, 3)
