"""The plan checker: every broken promise is found, whoever made the placement."""

from __future__ import annotations

import pytest

from shoal.core.load import Capacity, Load
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, Placement, Quota


def host(name: str, **changes: object) -> HostView:
    return HostView(name=name, capacity=Capacity(cpus=4, memory_mib=4096), **changes)  # type: ignore[arg-type]  # any of its fields


PLAIN = [host("h1"), host("h2")]


def placed(*hosts: tuple[str, ...]) -> Placement:
    return Placement(hosts)


def test_a_good_placement_has_nothing_wrong() -> None:
    """Constraints that hold are not complained of."""
    items = [
        Item(names=("a", "b"), coschedule=2),
        Item(names=("c",), colocate="a"),
        Item(names=("d",), schedule="h2", coschedule=1),
        Item(names=("e",), colocate="old"),
    ]
    views = [host("h1", load=Load(vms=0)), host("h2"), host("h3", load=Load(vms=7))]
    assert check(placed(("h1", "h2"), ("h1",), ("h2",), ("h3",)), items, views, {"old": "h3"}) == []


@pytest.mark.parametrize(
    ("items", "placement", "views", "problem"),
    [
        ([Item(names=("a",))], placed(()), PLAIN, "their numbers differ"),
        ([Item(names=("a",))], placed(("h1", "h2")), PLAIN, "their numbers differ"),
        ([Item(count=2)], placed(("h1",)), PLAIN, "their numbers differ"),
        ([Item(names=("a",))], placed(("x",)), PLAIN, "`x` is not in the namespace"),
        (
            [Item(names=("a",))],
            placed(("h1",)),
            [host("h1", accepting=False, reason="lost")],
            "no new VMs: lost",
        ),
        ([Item(names=("a", "a"))], placed(("h1", "h2")), PLAIN, "placed twice"),
        (
            [Item(names=("a",), schedule="h2")],
            placed(("h1",)),
            PLAIN,
            "`a` is on `h1`, its schedule says `h2`",
        ),
        (
            [Item(names=("a",)), Item(names=("b",), colocate="a")],
            placed(("h1",), ("h2",)),
            PLAIN,
            "is colocated",
        ),
        ([Item(names=("b",), colocate="old")], placed(("h2",)), PLAIN, "`b` is on `h2`, `old`"),
        (
            [Item(names=("b",), colocate="nobody")],
            placed(("h2",)),
            PLAIN,
            "nonexistent colocate VMs: [nobody]",
        ),
        ([Item(names=("b",), colocate="b")], placed(("h2",)), PLAIN, "nonexistent colocate VMs: [b]"),
        (
            [Item(names=("a", "b"), coschedule=0)],
            placed(("h1", "h1")),
            PLAIN,
            "coschedule requirement of 1: `a`",
        ),
        (
            [Item(names=("a",), coschedule=1)],
            placed(("h1",)),
            [host("h1", load=Load(vms=2))],
            "too many VMs scheduled on h1 for coschedule requirement of 2: `a` allows 1 others, it has 2",
        ),
        (
            [Item(names=("a",))],
            placed(("h1",)),
            [host("h1", load=Load(vms=1), limits=(CoscheduleLimit("hermit", 0),))],
            "`hermit` allows 0 others, it has 1",
        ),
        ([Item(count=3, vcpus=2)], placed(("h1",) * 3), [host("h1", quota=Quota(vcpus=5))], "6 of 5 vCPUs"),
        (
            [Item(count=1)],
            placed(("h1",)),
            [host("h1", quota=Quota(memory_mib=9))],
            "2048 of 9 MiB of memory",
        ),
        ([Item(count=1)], placed(("h1",)), [host("h1", load=Load(vms=1), quota=Quota(vms=1))], "2 of 1 VMs"),
    ],
)
def test_each_broken_promise_is_found(
    items: list[Item], placement: Placement, views: list[HostView], problem: str
) -> None:
    """A placement that breaks one rule has one problem, which names what it is about."""
    found = check(placement, items, views, {"old": "h1"})
    assert len(found) == 1
    assert problem in found[0]


def test_what_was_moved_by_hand_may_leave_its_schedule() -> None:
    """A VM that was moved overrides its own schedule; its neighbour does not."""
    items = [Item(names=("a", "b"), schedule="h2")]
    assert check(placed(("h1", "h2")), items, PLAIN, moved={"a"}) == []
    assert len(check(placed(("h1", "h1")), items, PLAIN, moved={"a"})) == 1


def test_a_host_that_gets_nothing_is_not_judged() -> None:
    """Limits that are broken already, on a host where nothing is placed, do not make a plan wrong."""
    crowded = host("h2", load=Load(vms=9), limits=(CoscheduleLimit("hermit", 0),))
    assert check(placed(("h1",)), [Item(names=("a",))], [host("h1"), crowded]) == []
