"""One request being handled: what is written down before it is begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoal.errors import Unavailable
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.leader import Call


def leader() -> Any:
    """A leader that stores at once."""
    model = Model()

    async def commit(changes: Changes) -> None:
        for subject, record in changes.writes.items():
            model.apply(subject, record)

    return SimpleNamespace(model=model, commit=commit, next_slot=lambda: 0)


async def test_what_was_begun_is_not_begun_again() -> None:
    """The next leader finds that a request was begun, and tells where to look instead of doing it twice."""
    there = leader()
    await Call(there, "r1", lambda *_: None).once("look there")
    with pytest.raises(Unavailable, match="it may be done: look there"):
        await Call(there, "r1", lambda *_: None).once("look there")
    await Call(there, "r2", lambda *_: None).once("look there")


async def test_a_request_without_an_id_leaves_nothing() -> None:
    """Whoever sends no id, as the stock tool does, is never taken for somebody who asks again."""
    there = leader()
    for _ in range(2):
        await Call(there, "", lambda *_: None).once("look there")
    assert there.model.requests == {}
