"""Clearing a namespace, asked for again: by a client that had no answer, of the same leader or its successor."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from shoal.errors import NotFound
from shoal.messages.namespaces import ClearNamespace, NamespaceCleared
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord
from shoal_orchestrator.handlers.namespaces import clear_namespace


class Rig:
    """A leader without hosts, whose commits are done at once; `outcomes` are the replies that were stored."""

    def __init__(self, *names: str) -> None:
        self.model = Model()
        self.outcomes: list[Any] = []
        for record in (ClusterRecord(store="s", head="mm0"), *(NamespaceRecord(name=name) for name in names)):
            self.model.apply(subject_of(record), record)
        self.leader: Any = SimpleNamespace(
            model=self.model,
            commit=self._commit,
            workers=SimpleNamespace(ask_all=self._ask_all),
            inventory=SimpleNamespace(hosts={}, wait_for=self._wait, state=lambda _: "alive"),
        )

    async def _commit(self, changes: Changes, reply: Any = None) -> None:
        for subject, record in changes.writes.items():
            self.model.apply(subject, record)
        if reply is not None:
            self.outcomes.append(reply)

    async def _ask_all(self, *_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    async def _wait(self, done: Callable[[], bool]) -> None:
        assert done()

    async def clear(self, name: str, *, repeat: bool) -> NamespaceCleared:
        call: Any = SimpleNamespace(repeat=repeat, commit=self._commit, progress=lambda *_: None)
        return await clear_namespace(self.leader, "", ClearNamespace(name=name), call)


async def test_outcome_of_clearing_is_stored() -> None:
    """Whoever asks again gets the answer: that it is cleared, not that there is no such namespace."""
    rig = Rig("red")
    reply = await rig.clear("red", repeat=False)
    assert reply.namespaces == ("red",)
    assert rig.outcomes == [reply]
    with pytest.raises(NotFound):
        await rig.clear("red", repeat=False)
    assert (await rig.clear("red", repeat=True)).namespaces == ()


async def test_repeat_leaves_alone_what_came_later() -> None:
    """A namespace of the same name that was created since is not cleared by the repeat."""
    rig = Rig("red", "blue")
    await rig.clear("red", repeat=True)
    await rig.clear("all", repeat=True)
    assert rig.model.namespaces.keys() == {"red", "blue"}
