"""Starting what was killed: it is another instance, whatever of the old one is still seen."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, State
from shoal.messages.vms import StartVMs
from shoal_orchestrator.handlers import starting


@pytest.mark.parametrize("state", ["BUILDING", "PAUSED", "QUIT"])
@pytest.mark.parametrize("power", ["paused", "off"])
async def test_what_was_killed_never_runs_again(
    monkeypatch: pytest.MonkeyPatch, state: State, power: Any
) -> None:
    """A killed VM whose guest is seen (its creation had timed out) is launched anew; a paused one goes on."""
    record = LaunchRecord(
        namespace="red",
        name="a",
        id=0,
        instance="i1",
        revision=2,
        power=power,
        host="mm1",
        incarnation="inc",
        uuid="u",
        config=VMConfig(),
    )
    stored: list[Any] = []

    async def carry_out(_: Any, __: Any, changes: Any, *___: Any) -> None:
        stored.extend(changes.writes.values())

    monkeypatch.setattr(starting, "targets", lambda *_: ([record], []))
    monkeypatch.setattr(starting, "view_of", lambda *_: SimpleNamespace(state=state))
    monkeypatch.setattr(starting, "is_dead", lambda *_: False)
    monkeypatch.setattr(starting, "carry_out", carry_out)
    monkeypatch.setattr(starting, "_restarts", lambda _, __, ended: ([_again(each) for each in ended], []))
    leader: Any = SimpleNamespace(model=None, ids=random.Random(1))
    call: Any = SimpleNamespace(repeat=False)
    await starting.start_vms(leader, "red", StartVMs(target="a"), call)
    assert [each.instance for each in stored] == ["i1" if power == "paused" and state != "QUIT" else "i2"]


def _again(record: LaunchRecord) -> LaunchRecord:
    return LaunchRecord(
        **{
            **{name: getattr(record, name) for name in record.__struct_fields__},
            "instance": "i2",
            "power": "running",
        }
    )
