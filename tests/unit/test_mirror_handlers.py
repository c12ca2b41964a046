"""Mirrors are changed at host taps: never by a record that was read before somebody else changed it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.test_mirrors import tap

from shoal.messages.desired import TapRecord
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.handlers import mirrors

BEFORE = replace(tap("a"), mirror="src")
AFTER = replace(BEFORE, revision=2, mirror="")


@pytest.mark.parametrize(
    ("now", "wanted"),
    [
        (None, None),
        (replace(BEFORE, revision=2, removed=True), replace(BEFORE, revision=2, removed=True)),
        (replace(BEFORE, revision=5, vlan=7), replace(BEFORE, revision=6, vlan=7, mirror="")),
    ],
)
async def test_a_tap_that_was_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, now: TapRecord | None, wanted: TapRecord | None
) -> None:
    """A tap that is gone or about to go stays so; what else was changed in it is kept."""
    model = Model()
    if now is not None:
        model.apply(subject_of(now), now)

    async def commit(changes: Changes, *_: object) -> None:
        for subject, record in changes.writes.items():
            model.apply(subject, record)

    async def settled(*_: object) -> None:
        return

    monkeypatch.setattr(mirrors, "tap_settled", settled)
    hosts = {"mm1": SimpleNamespace(taps={})}
    leader: Any = SimpleNamespace(model=model, commit=commit, inventory=SimpleNamespace(hosts=hosts))
    call: Any = SimpleNamespace(commit=commit)
    await mirrors._change_tap(leader, call, BEFORE, AFTER)
    assert model.taps["red"].get(("mm1", "a")) == wanted
