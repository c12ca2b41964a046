"""Failures that say the same, and very many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal import codec
from shoal.console.answers import answer_of
from shoal.console.modifiers import Settings
from shoal.messages.base import Done, Failure
from shoal_orchestrator.core.failures import (
    MOST_FOLDED,
    MOST_NAMED,
    MOST_TOLD,
    alike_once,
    in_short,
    told_in_short,
)


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


def missing(first: int, last: int, prefix: str = "vm") -> list[Failure]:
    names = [f"{prefix}{number}" for number in range(first, last + 1)]
    return [failure(f"vm not found: {name}", name) for name in names]


def test_of_very_many_failures_the_last_stands_for_the_rest() -> None:
    """A thousand in all: what stands for the rest says of how many, and which; a thousand are told as they are."""
    told = in_short(missing(1, 15_000))
    assert len(told) == MOST_TOLD
    assert told[:-1] == tuple(missing(1, MOST_TOLD - 1))
    rest = failure(f"… and {15_001 - MOST_TOLD} more: vm[{MOST_TOLD}-15000]")
    assert replace(told[-1], names=()) == rest
    assert told[-1].names == tuple(f"vm{number}" for number in range(MOST_TOLD, MOST_TOLD + MOST_NAMED))
    assert in_short(missing(1, MOST_TOLD)) == tuple(missing(1, MOST_TOLD))


def test_what_stands_for_the_rest_is_neither_long_nor_wrong() -> None:
    """Names that do not fold are cut between two of them; where kinds differ it is a plain refusal."""
    odd = [name for number, name in enumerate(missing(1, 9000)) if number % 2]
    refused = Failure(kind="Refused", code=409, message="web: no room", names=("web",))
    last = in_short([*odd, refused])[-1]
    assert (last.kind, last.code) == ("Refused", 409)
    assert len(last.message) < MOST_FOLDED + 100
    assert last.message.endswith(", …")
    assert not in_short([failure("lost")] * 2000)[-1].message.endswith(":")


def test_a_prompt_shows_what_stands_for_the_rest_last() -> None:
    """It sorts what it shows; nobody looks for the count among a thousand lines."""
    answer = answer_of(told_in_short(Done(failures=tuple(missing(1, 2000)))), Settings())
    assert answer.outcome("").errors[-1].startswith("… and 1001 more: ")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200_000)), max_size=30), st.booleans())
def test_whatever_fails_an_answer_has_room_for_it(drawn: list[tuple[int, int]], many: bool) -> None:
    """However long messages are and however many; told in short once more, it is the same; the first is always told."""
    failures = [failure("x" * length, f"vm{number}") for number, length in drawn] * (100 if many else 1)
    told = in_short(failures)
    assert in_short(told) == told
    assert told[:1] == tuple(failures[:1])
    assert told[:-1] == tuple(failures[: len(told)])[:-1]
    assert len(codec.encode(Done(failures=told))) < codec.MAX_ANSWER_BYTES
