"""A plan launches each of its VMs once, also when another leader goes on with it."""

from __future__ import annotations

import random

from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord, PlanRecord, QueueEntry

PLAN = PlanRecord(namespace="red", plan="p", revision=1, state="running", entries=(0,), total=1000)
ENTRY = QueueEntry(namespace="red", entry=0, count=1000, names="a[0-999]", config=VMConfig(), plan="p")


def slices(model: Model, plan: PlanRecord) -> list[tuple[list[str], int]]:
    """The names that are launched, slice by slice, and what the plan has published with each."""
    found = launching.launches(model, plan, [ENTRY], [["mm1"] * 1000], random.Random(1))
    return [([record.name for record in records], published) for records, published in found]


def empty() -> Model:
    """A namespace and a host."""
    model, changes = Model(), Changes()
    changes.put(NamespaceRecord(name="red", hosts="mm1"), HostRecord(name="mm1", incarnation="i"))
    for subject, record in changes.writes.items():
        model.apply(subject, record)
    return model


def test_slices_say_how_far_the_plan_has_come() -> None:
    """The numbers that go with the slices count up to all of the plan's VMs."""
    assert [(len(names), published) for names, published in slices(empty(), PLAN)] == [
        (400, 400),
        (400, 800),
        (200, 1000),
    ]


def test_what_was_published_is_not_launched_again() -> None:
    """A VM of an earlier slice that was killed and forgotten since stays forgotten when the plan is resumed."""
    resumed = slices(empty(), replace(PLAN, published=400))
    assert [names[0] for names, _ in resumed] == ["a400", "a800"]
    assert slices(empty(), replace(PLAN, published=1000)) == []
