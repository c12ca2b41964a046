"""What the leader stores: a record that the server would not take is refused before anything is changed."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from shoal.errors import Refused
from shoal.messages.base import Said
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import NamespaceRecord, RequestRecord
from shoal_orchestrator.core.stored_records import MAX_RECORD_BYTES
from shoal_orchestrator.leader import Call
from shoal_orchestrator.store import Store


def store() -> Store:
    stream: Any = None
    return Store(stream, random.Random(1))


async def test_a_record_that_is_too_large_changes_nothing() -> None:
    """Its batch would be refused for ever and end the term: neither it nor what comes with it is applied."""
    leading = store()
    changes = Changes()
    changes.put(
        NamespaceRecord(name="red", hosts="mm1"),
        RequestRecord(id="1", slot=0, reply="x" * MAX_RECORD_BYTES, plan=""),
    )
    with pytest.raises(Refused, match="in smaller parts"):
        leading.submit(changes)
    assert leading.model.namespaces == {}
    assert leading.model.requests == {}


@pytest.mark.parametrize("text", ["short", '"' * 1_000_000])
async def test_an_outcome_that_is_too_large_is_not_kept(text: str) -> None:
    """The change that a request made is stored with a mark that it was begun, however long its answer is."""
    leading = store()

    async def commit(changes: Changes) -> None:
        leading.submit(changes)

    leader: Any = SimpleNamespace(model=leading.model, next_slot=lambda: 0, commit=commit)
    changes = Changes()
    changes.put(NamespaceRecord(name="red", hosts="mm1"))
    reply = Said(text=text)
    await Call(leader, "id1", lambda *_: None).commit(changes, reply)
    assert list(leading.model.namespaces) == ["red"]
    kept = leading.model.requests["id1"].reply
    assert kept == (msgspec.json.encode(reply).decode() if text == "short" else "")
