"""Slots for the outcomes of requests: the oldest outcome gives way, also to a leader that has just loaded them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from shoal import subjects
from shoal_orchestrator import leader
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import RequestRecord


def leading(slots: dict[int, int]) -> leader.Leader:
    """A leader that has loaded outcomes: slot → sequence."""
    model = Model()
    for slot, sequence in slots.items():
        subject = subjects.request_record(slot)
        model.apply(subject, RequestRecord(id=f"r{slot}", slot=slot))
        model.sequences[subject] = sequence
    nothing: Any = SimpleNamespace()
    store: Any = SimpleNamespace(model=model)
    return leader.Leader(
        store=store,
        inventory=nothing,
        events=nothing,
        shelf=nothing,
        workers=nothing,
        ids=nothing,
        spawn=lambda *_: None,
    )


def test_free_slots_come_first() -> None:
    """An outcome that was written last into a low slot does not send the next ones over younger outcomes."""
    found = leading({0: 50, 1: 20, 2: 30, 3: 40})
    assert [found.next_slot() for _ in range(3)] == [4, 5, 6]


def test_then_the_oldest_outcome_gives_way() -> None:
    """By when it was written, not by its number."""
    written = {slot: slot + 10 for slot in range(leader.OUTCOMES)}
    written[0] = 10**9
    found = leading(written)
    assert [found.next_slot() for _ in range(3)] == [1, 2, 3]
