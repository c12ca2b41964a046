"""Saving a namespace: whatever goes wrong, its VMs go on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord
from shoal.messages.saving import SaveNamespace
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord
from shoal_orchestrator.handlers import saving


async def test_a_fault_in_the_middle_ends_the_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an error that nobody thought of lets the VMs go on, and the next save begin."""
    model = Model()
    begin = Changes()
    begin.put(
        NamespaceRecord(name="red", hosts="mm1"),
        LaunchRecord(
            namespace="red",
            name="a",
            instance="i",
            revision=1,
            power="running",
            host="mm1",
            incarnation="inc",
            id=0,
            uuid="u",
            config=VMConfig(),
        ),
    )

    async def commit(changes: Changes, *_: object) -> None:
        for subject, record in changes.writes.items():
            model.apply(subject, record)

    async def fail(*_: object) -> Any:
        raise RuntimeError("a fault")

    await commit(begin)
    monkeypatch.setattr(saving, "view_of", lambda *_: SimpleNamespace(state="RUNNING"))
    monkeypatch.setattr(saving, "_save_all", fail)
    leader: Any = SimpleNamespace(model=model, namespace=model.namespaces.__getitem__, commit=commit)
    call: Any = SimpleNamespace(commit=commit)
    with pytest.raises(RuntimeError, match="a fault"):
        await saving.save_namespace(leader, "red", SaveNamespace(name="monday"), call)
    assert model.launches["red"]["a"].power == "running"
    save = model.namespaces["red"].save
    assert save is not None
    assert (save.state, save.reason) == ("failed", "it failed inside the orchestrator; its log says why")
