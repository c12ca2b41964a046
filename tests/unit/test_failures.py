"""Failures that say the same."""

from __future__ import annotations

from shoal.messages.base import Failure
from shoal_orchestrator.core.failures import MOST_NAMED, alike_once


def failure(message: str, *names: str) -> Failure:
    return Failure(kind="NotFound", code=404, message=message, names=names)


def test_those_that_say_the_same_are_one_with_all_names() -> None:
    """Each name once, in the order in which they came."""
    told = alike_once([failure("no tap 3", "b"), failure("lost", "c"), failure("no tap 3", "a", "b")])
    assert told == (failure("no tap 3", "b", "a"), failure("lost", "c"))


def test_details_tell_them_apart() -> None:
    """What people are to read is never dropped."""
    other = Failure(kind="NotFound", code=404, message="no tap 3", details=("why",), names=("a",))
    assert alike_once([failure("no tap 3", "a"), other]) == (failure("no tap 3", "a"), other)


def test_not_all_of_very_many_are_named() -> None:
    """A reply has to fit a message."""
    (one,) = alike_once(failure("no tap 3", f"vm{number}") for number in range(MOST_NAMED + 5))
    assert len(one.names) == MOST_NAMED
