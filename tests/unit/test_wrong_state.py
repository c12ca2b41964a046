"""Refusals about VMs say which VM, how it is, and what can be done with it."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import replace
from tests.unit.test_mirrors import vm

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import State
from shoal_orchestrator.core.records import QueueEntry
from shoal_orchestrator.core.targets import not_found
from shoal_orchestrator.core.wrong_state import (
    DETAILED,
    STATE_ERROR,
    in_brief,
    queue_note,
    replaced,
    state_error,
    with_queued,
)

WEB = vm("web")
QUEUE = [
    QueueEntry(namespace="red", entry=1, count=2, names="f[1-2]", config=VMConfig()),
    QueueEntry(namespace="red", entry=2, count=3, config=VMConfig()),
]


@pytest.mark.parametrize("state", get_args(State))
def test_the_message_is_the_peers_and_the_details_say_more(state: State) -> None:
    """In every state the message stays as scripts know it; names and details say what it is about and what to do."""
    failure = state_error(WEB, STATE_ERROR, state)
    assert (failure.message, failure.names) == ("VM state error: web", ("web",))
    (detail,) = failure.details
    assert detail.startswith(f"web is in {state}: `vm ")
    assert "{" not in detail


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (None, "web: another command has removed it meanwhile"),
        ({"instance": "other"}, "web: another command has launched it again meanwhile"),
        ({"power": "off"}, "web: another command kills it now"),
        ({"power": "paused"}, "web: another command pauses it now"),
        ({}, "web: another command has changed it meanwhile"),
    ],
)
def test_who_was_overtaken_hears_by_what(changes: dict[str, Any] | None, told: str) -> None:
    """A command that another one has overtaken says in a sentence what that one does."""
    asked = replace(WEB, power="running")
    current = None if changes is None else replace(asked, revision=asked.revision + 1, **changes)
    assert replaced(asked, current).message == told


def test_what_is_queued_is_not_said_to_be_missing_only() -> None:
    """A name that is not found, and waits in the queue, comes with what launches it; another does not."""
    waiting, missing = with_queued([not_found("f2"), not_found("g")], QUEUE)
    assert (waiting.message, waiting.names) == ("vm not found: f2", ("f2",))
    assert waiting.details == ("f2 is queued: `ns schedule` launches it",)
    assert missing.details == ()
    assert queue_note(QUEUE) == ("5 VMs are queued: `ns schedule` launches them",)
    assert queue_note([]) == ()


def test_many_failures_fit_into_an_answer() -> None:
    """Of many failures the first come with details, the others without."""
    told = in_brief([state_error(vm(f"vm{n}"), STATE_ERROR, "QUIT") for n in range(DETAILED + 3)])
    assert [bool(failure.details) for failure in told] == [True] * DETAILED + [False] * 3
    assert all(failure.names for failure in told)


def test_wildcards_are_answered_with_ranges() -> None:
    """Whoever writes a star hears how ranges are written."""
    assert not_found("web*").details == ("there are no wildcards: a range is written web[1-4]",)
