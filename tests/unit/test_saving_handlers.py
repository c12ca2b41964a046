"""Saving a namespace: whatever goes wrong, its VMs go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoal.core.vmconfig import VMConfig
from shoal.errors import Refused
from shoal.messages.desired import LaunchRecord
from shoal.messages.saving import SaveNamespace
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord
from shoal_orchestrator.handlers import saving


def vm(**more: Any) -> LaunchRecord:
    fields: dict[str, Any] = {"instance": "i", "revision": 1, "power": "running", **more}
    return LaunchRecord(
        namespace="red",
        name="a",
        host="mm1",
        incarnation="inc",
        id=0,
        uuid="u",
        config=VMConfig(),
        **fields,
    )


async def leading(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A leader (and a call) that stores at once; red has one VM, which runs."""
    model = Model()

    async def commit(changes: Changes, *_: object) -> None:
        for subject, record in changes.writes.items():
            model.apply(subject, record)

    begin = Changes()
    begin.put(NamespaceRecord(name="red", hosts="mm1"), vm())
    await commit(begin)
    monkeypatch.setattr(saving, "view_of", lambda *_: SimpleNamespace(state="RUNNING"))
    return SimpleNamespace(model=model, namespace=model.namespaces.__getitem__, commit=commit)


async def test_a_fault_in_the_middle_ends_the_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an error that nobody thought of lets the VMs go on, and the next save begin."""
    leader = await leading(monkeypatch)

    async def fail(*_: object) -> Any:
        raise RuntimeError("a fault")

    monkeypatch.setattr(saving, "_save_all", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        await saving.save_namespace(leader, "red", SaveNamespace(name="monday"), leader)
    assert leader.model.launches["red"]["a"].power == "running"
    save = leader.model.namespaces["red"].save
    assert save is not None
    assert (save.state, save.reason) == ("failed", "it failed inside the orchestrator; its log says why")


async def test_only_what_was_paused_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM that was killed and launched anew under its name meanwhile is another one: it stays as it was launched."""
    leader = await leading(monkeypatch)

    async def replaced(*_: object) -> Any:
        changes = Changes()
        changes.put(vm(instance="another", power="paused"))
        await leader.commit(changes)
        raise Refused("the VM does not run on this host (any more)")

    monkeypatch.setattr(saving, "_save_all", replaced)
    with pytest.raises(Refused):
        await saving.save_namespace(leader, "red", SaveNamespace(name="monday"), leader)
    assert leader.model.launches["red"]["a"].power == "paused"
