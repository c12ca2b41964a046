"""Replies on their way to a person: pages, failures, the outcome."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from shoal.console.answers import Outcome, answer_of, call_all
from shoal.console.modifiers import Settings
from shoal.errors import ShoalError
from shoal.messages.base import Done, Failure, Reply, Request, Said
from shoal.messages.hosts import HostRow, Hosts, ListHosts
from shoal.messages.namespaces import ListNamespaces
from shoal.messages.vms import Changed

FAILURES = tuple(
    Failure(kind="NotFound", code=404, message=f"vm not found: {name}", details=(f"no {name}",))
    for name in "ba"
)


def outcome_of(reply: Reply) -> Outcome:
    return answer_of(reply, Settings()).outcome("")


async def test_pages_are_one_reply() -> None:
    """A list that comes in pages is asked for to its end; items, notes and failures are put together."""
    hosts = tuple(HostRow(host=f"mm{i}") for i in range(7))
    asked: list[tuple[str, str]] = []

    async def call(namespace: str, request: Request[Any]) -> Reply:
        assert isinstance(request, ListHosts)
        asked.append((namespace, request.after))
        start = int(request.after or 0)
        return Hosts(
            items=hosts[start : start + 3],
            next=str(start + 3) if start + 3 < len(hosts) else "",
            notes=(f"page {start}", "old news"),
            failures=FAILURES[:1] if start else (),
        )

    reply = await call_all(call, "red", ListHosts())
    assert reply == Hosts(
        items=hosts, notes=("page 0", "old news", "page 3", "page 6"), failures=(FAILURES[0], FAILURES[0])
    )
    assert asked == [("red", ""), ("red", "3"), ("red", "6")]


async def test_pages_that_go_in_a_circle_end() -> None:
    """A server that answers with the same `next` again does not hold the prompt for ever: it is an error."""
    asked: list[Request[Any]] = []

    async def call(_: str, request: Request[Any]) -> Reply:
        asked.append(request)
        return Hosts(items=(HostRow(host="a"),), next="x")

    with pytest.raises(ShoalError, match="pages of `host list` repeat"):
        await call_all(call, "red", ListHosts())
    assert len(asked) == 2


async def test_a_reply_without_pages_is_left_alone() -> None:
    """A `next` means nothing where the request cannot ask for what comes after."""

    async def call(_: str, __: Request[Any]) -> Reply:
        return Said(text="x", next="y")

    assert await call_all(call, "red", ListNamespaces()) == Said(text="x", next="y")


@pytest.mark.parametrize(
    ("reply", "exit_code"),
    [
        (Changed(vms="c", count=1), 0),
        (Changed(vms="c", count=1, failures=FAILURES), 3),
        (Changed(failures=FAILURES), 1),
        (Done(failures=FAILURES), 3),
    ],
)
def test_exit_codes_of_failures(reply: Reply, exit_code: int) -> None:
    """Failures beside something that went well are 3, failures alone 1; a reply that tells nothing else is 3."""
    assert outcome_of(reply).exit_code == exit_code


def test_failures_are_sorted() -> None:
    """Several errors are sorted; their details are for a person, in the order of the reply."""
    outcome = outcome_of(Changed(failures=FAILURES, notes=("slow",)))
    assert outcome.errors == ("vm not found: a", "vm not found: b")
    assert outcome.details == ("no b", "no a")
    assert outcome.notes == ("slow",)


def test_the_whole_outcome_as_one_text() -> None:
    """Errors stand before the table, their details after them."""
    outcome = Outcome("table", ("e1", "e2"), ("reason",), ("by the way",), 3)
    assert outcome.as_text() == "E: e1\nE: e2\nreason\nnote: by the way\ntable"
    assert msgspec.structs.replace(outcome, errors=(), details=(), notes=()).as_text() == "table"
