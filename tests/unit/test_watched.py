"""Who watches the model is told which records change."""

from __future__ import annotations

from shoal import subjects
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord


def test_what_is_changed_is_told_to_who_watches() -> None:
    """As long as it watches: what is written, and what is deleted."""
    model = Model()
    red, blue = subjects.namespace_record("red"), subjects.namespace_record("blue")
    model.apply(blue, NamespaceRecord(name="blue"))
    with model.watched() as seen:
        model.apply(red, NamespaceRecord(name="red"))
        model.apply(blue, None)
    model.apply(red, None)
    assert seen == {red, blue}
    with model.watched() as later:
        pass
    assert later == set()
