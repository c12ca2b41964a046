"""A plan's slices are stored one beside the other, and what the store says of one is what the plan ends with."""

from __future__ import annotations

import asyncio
import random
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.test_plan_steps import PLAN, empty, entry

from shoal.errors import NotFound, StoreUnavailable
from shoal_orchestrator.core import plans
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.handlers.carrying_out import resume_plan, run_plan


@pytest.mark.parametrize("failing", [0, 1, 2])
async def test_a_slice_that_is_not_stored_ends_the_plan_with_its_error(failing: int) -> None:
    """The caller gets the store's own error, which says that the request may be sent again; nothing is left running."""
    model = empty()
    model.apply(subject_of(entry(1000)), entry(1000))
    model.apply(subject_of(PLAN), PLAN)
    for chunk in plans.chunks_of("red", PLAN.plan, [entry(1000)], [["mm1"] * 1000], {}):
        model.apply(subject_of(chunk), chunk)
    begun = 0

    async def commit(changes: Changes) -> None:
        nonlocal begun
        number, begun = begun, begun + 1
        for subject, record in changes.writes.items():
            model.apply(subject, record)
        await asyncio.sleep(0.01)
        if number >= failing:
            raise StoreUnavailable("the store did not take it")

    leader: Any = SimpleNamespace(
        model=model,
        commit=commit,
        launching={},
        ids=random.Random(1),
        namespace=model.namespaces.__getitem__,
    )
    with pytest.raises(StoreUnavailable):
        await run_plan(leader, PLAN, lambda *_: None)
    await asyncio.sleep(0)
    assert begun == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_plan_of_a_namespace_that_is_not_there_is_left_as_it_is() -> None:
    """In a store that went backwards a plan may stand without its namespace: that is one line, and nothing is changed."""
    leader: Any = SimpleNamespace(model=Model(), launching={})
    with pytest.raises(NotFound, match="plan p of the namespace `red`, which is not there"):
        await resume_plan(leader, PLAN)
    assert leader.launching == {}
