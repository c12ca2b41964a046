"""The plan checker: every broken promise is found, whoever made the placement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from shoal.core.load import Capacity, Load, Quota
from shoal_orchestrator.core import check as check_module
from shoal_orchestrator.core.check import check, check_ground
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, NamespaceLimit, Placement


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


LIMIT = NamespaceLimit(namespace="ns", quota=Quota(vcpus=3, memory_mib=9000, vms=4), used=Load(vms=1))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (Item(count=1, vcpus=4), "4 of 3 vCPUs of namespace ns are promised"),
        (Item(count=1, memory_mib=9001), "9001 of 9000 MiB of memory of namespace ns are promised"),
        (Item(count=4, vcpus=0, memory_mib=0), "5 of 4 VMs of namespace ns are promised"),
    ],
)
def test_a_namespaces_limit_is_judged(item: Item, problem: str) -> None:
    """More than the namespace may have is found; VMs that are left over do not count."""
    assert check(placed(("h1",) * item.count), [item], PLAIN, limit=LIMIT) == [problem]
    assert check(placed(("",) * item.count), [item], PLAIN, limit=LIMIT) == []


def test_what_is_left_over_is_passed_over() -> None:
    """The host "" is no host; but a group is left over as a whole."""
    items = [Item(names=("a",), schedule="h1"), Item(names=("b",), colocate="a"), Item(names=("c",))]
    assert check(placed(("",), ("",), ("h1",)), items, PLAIN) == []
    assert check(placed(("",), ("h1",), ("",)), items, PLAIN)
    assert check(placed(("h1",), ("",), ("",)), items, PLAIN)


def valid() -> tuple[list[Item], list[HostView], dict[str, str], dict[str, str]]:
    """A placement in which everything occurs, and nothing is wrong."""
    items = [
        Item(names=("solo",), coschedule=0),
        Item(names=("pin",), schedule="h2", coschedule=2),
        Item(names=("a",)),
        Item(names=("b",), colocate="a"),
        Item(names=("c",), colocate="old"),
        Item(names=("p", "q")),
    ]
    views = [
        host("h1"),
        host("h2", load=Load(vms=1), limits=(CoscheduleLimit("old", 2),)),
        host("h3", quota=Quota(vms=3)),
        host("h4", quota=Quota(vcpus=1)),
        host("h5", accepting=False),
    ]
    where = {"solo": "h1", "pin": "h2", "c": "h2", "a": "h3", "b": "h3", "p": "h3", "q": "h4"}
    return items, views, {"old": "h2"}, where


def judged(where: dict[str, str]) -> list[str]:
    items, views, residents, _ = valid()
    return check(
        Placement(tuple(tuple(where[name] for name in item.names) for item in items)), items, views, residents
    )


@pytest.mark.parametrize("name", ["solo", "pin", "a", "b", "c", "p", "q"])
@pytest.mark.parametrize("destination", ["h1", "h2", "h3", "h4", "h5", "h6"])
def test_every_single_change_of_a_tight_placement_is_caught(name: str, destination: str) -> None:
    """Whichever VM is put onto whichever other host, something is wrong, and the checker says so."""
    _, _, _, where = valid()
    assert judged(where) == []
    if where[name] != destination:
        assert judged({**where, name: destination})


def test_the_ground_is_judged_again() -> None:
    """A placement that was right is wrong when hosts, their loads, or residents have changed since."""
    items, views, residents, where = valid()
    placement = Placement(tuple(tuple(where[name] for name in item.names) for item in items))
    assert check_ground(placement, items, views, residents) == []
    for number, problem in enumerate(("too many VMs", "too many VMs", "of 3 VMs", "of 1 vCPUs")):
        fuller = list(views)
        fuller[number] = replace(views[number], load=Load(vms=views[number].load.vms + 1, vcpus=1))
        (found,) = check_ground(placement, items, fuller, residents)
        assert problem in found
        (found,) = check_ground(placement, items, [*views[:number], *views[number + 1 :]], residents)
        assert "is not in the namespace" in found
    assert "nonexistent colocate" in check_ground(placement, items, views)[0]
    assert "with which it is colocated" in check_ground(placement, items, views, {"old": "h4"})[0]


def test_the_checker_shares_no_code_with_the_planner() -> None:
    """It imports what is given and taken, and nothing that makes placements."""
    text = Path(check_module.__file__).read_text(encoding="utf-8")
    imported = re.findall(r"^from (shoal\S*)", text, re.MULTILINE)
    assert imported == ["shoal_orchestrator.core.placement"]
