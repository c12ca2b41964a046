"""The planner against a naive loop and against brute force, on whatever hypothesis thinks of."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.planner_cases import hosts, planned, refusal, vms

from shoal.core.load import POLICIES, Capacity, Load, Policy, Quota, rank, total
from shoal.core.ranges import natural_key
from shoal.errors import Refused, Unplaceable
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, Placement
from shoal_orchestrator.core.scheduler import place

# ---- against oracles

RESIDENTS = {"resident": "h0"}
LOADS = st.builds(
    Load,
    vcpus=st.integers(0, 6),
    memory_mib=st.integers(0, 3).map(lambda n: n * 512),
    nics=st.integers(0, 4),
    vms=st.integers(0, 4),
)
CAPACITIES = st.builds(
    Capacity, cpus=st.sampled_from([1, 2, 4, 6]), memory_mib=st.sampled_from([1024, 4096, 3000])
)


@st.composite
def host_views(draw: st.DrawFn, constrained: bool = True, most: int = 4) -> list[HostView]:
    views = []
    for number in range(draw(st.integers(1, most))):
        load = draw(LOADS)
        limits = draw(st.lists(st.integers(0, 5), max_size=1)) if constrained and load.vms else []
        views.append(
            HostView(
                name=f"h{number * 5}",
                capacity=draw(CAPACITIES),
                load=load,
                limits=tuple(CoscheduleLimit("old", others) for others in limits),
                quota=Quota(vcpus=draw(st.sampled_from([-1, -1, 8]))) if constrained else Quota(),
                accepting=draw(st.integers(0, 9)) > 0 if constrained else True,
            )
        )
    return draw(st.permutations(views))


@st.composite
def demands(draw: st.DrawFn, constrained: bool = True, most: int = 5) -> list[Item]:
    items: list[Item] = []
    for number in range(draw(st.integers(1, most))):
        names = tuple(
            f"{'abcdefgh'[number]}{i}" for i in range(draw(st.integers(1, 2 if constrained else 9)))
        )
        constraint = draw(st.sampled_from(["", "", "schedule", "colocate"])) if constrained else ""
        others = [name for item in items for name in item.names] or ["resident"]
        items.append(
            Item(
                names=names,
                vcpus=draw(st.integers(1, 3)),
                memory_mib=draw(st.sampled_from([512, 1024])),
                nics=draw(st.integers(0, 2)),
                coschedule=draw(st.sampled_from([-1, -1, -1, 0, 1, 2, 4])) if constrained else -1,
                schedule=draw(st.sampled_from(["h0", "h5"])) if constraint == "schedule" else "",
                colocate=draw(st.sampled_from([*others, "resident"])) if constraint == "colocate" else "",
            )
        )
    return draw(st.permutations(items))


def naive(items: list[Item], views: list[HostView], policy: Policy, relative: bool) -> dict[str, str]:
    """One VM at a time to the least loaded host; heavy VMs first, of equally heavy ones the largest shape first."""
    weights = {"cpucommit": "vcpus", "netcommit": "nics", "memload": "memory_mib"}
    shapes: dict[Load, int] = {}
    for item in items:
        shapes[item.load] = shapes.get(item.load, 0) + item.size
    firsts = {load: next(n for n, item in enumerate(items) if item.load == load) for load in shapes}
    order = sorted(items, key=lambda i: (-getattr(i, weights[policy]), -shapes[i.load], firsts[i.load]))
    loads = {view.name: view.load for view in views}
    capacities = {view.name: view.capacity for view in views}
    found = {}
    for item in order:
        for name in item.names:
            host = min(
                loads,
                key=lambda h: (rank(policy, relative, loads[h], capacities[h]), loads[h].vms, natural_key(h)),
            )
            loads[host] = total([loads[host], item.load])
            found[name] = host
    return found


@settings(max_examples=100)
@given(
    demands(constrained=False),
    host_views(constrained=False, most=6),
    st.sampled_from(POLICIES),
    st.booleans(),
)
def test_without_constraints_it_is_the_naive_rule(
    items: list[Item], views: list[HostView], policy: Policy, relative: bool
) -> None:
    """Placements equal those of a naive loop: least loaded, then fewest VMs, then natural order of names."""
    placement = place(items, views, policy, relative=relative)
    assert placement.of(items) == naive(items, views, policy, relative)
    assert check(placement, items, views) == []


@pytest.mark.parametrize("relative", [False, True])
def test_large_groups_are_the_naive_rule_too(relative: bool) -> None:
    """Thousands of VMs on hosts of uneven load: the same hosts, VM by VM, as the naive loop takes."""
    views = [
        HostView(
            name=f"h{n}",
            capacity=Capacity(cpus=1 + n % 3, memory_mib=1),
            load=Load(vcpus=n * n % 70, vms=n % 9),
        )
        for n in range(20)
    ]
    items = [vms("v[0-1999]", vcpus=2), vms("w[0-499]")]
    assert place(items, views, relative=relative).of(items) == naive(items, views, "cpucommit", relative)


def brute_force(items: list[Item], views: list[HostView], residents: dict[str, str]) -> Placement | None:
    sizes = [item.size for item in items]
    names = [view.name for view in views if view.accepting]
    for chosen in product(names, repeat=sum(sizes)):
        rest = list(chosen)
        placement = Placement(tuple(tuple(rest.pop(0) for _ in range(size)) for size in sizes))
        if not check(placement, items, views, residents):
            return placement
    return None


@st.composite
def tight(draw: st.DrawFn) -> tuple[list[Item], list[HostView]]:
    """Few hosts, hardly any load, VMs with limits that let them share: room is there, and has to be found."""
    views = hosts("h0,h5" if draw(st.booleans()) else "h0,h5,h10")
    views[0] = msgspec.structs.replace(views[0], load=Load(vms=draw(st.integers(0, 1))))
    views[1] = msgspec.structs.replace(views[1], quota=Quota(vcpus=draw(st.sampled_from([-1, 4, 6]))))
    items: list[Item] = []
    for number in range(draw(st.integers(3, 6))):
        leaders = [item.names[0] for item in items if item.coschedule != 0]
        items.append(
            Item(
                names=(f"v{number}",),
                vcpus=draw(st.integers(1, 3)),
                coschedule=draw(st.sampled_from([-1, -1, 1, 1, 2, 3])),
                schedule=draw(st.sampled_from(["", "", "", "", "h5"])),
                colocate="",
            )
        )
        if leaders and draw(st.integers(0, 5)) == 0:
            items[-1] = msgspec.structs.replace(items[-1], schedule="", colocate=leaders[-1])
    return items, views


def outcome_of(items: list[Item], views: list[HostView], **arguments: Any) -> tuple[Placement | None, str]:
    """The placement, or None and why it was refused."""
    try:
        return place(items, views, residents=RESIDENTS, **arguments), ""
    except Unplaceable as error:
        return None, str(error)


def agrees_with_brute_force(items: list[Item], views: list[HostView], **arguments: Any) -> bool:
    """Whether a placement is valid, and a refusal is one of colocation or of what brute force cannot place either."""
    placement, refusal = outcome_of(items, views, **arguments)
    if placement is not None:
        return check(placement, items, views, RESIDENTS) == []
    return "nonexistent" in refusal or brute_force(items, views, RESIDENTS) is None


@settings(max_examples=100)
@given(demands(most=3), host_views(most=3), st.sampled_from(POLICIES), st.booleans())
def test_any_small_demand_is_placed_exactly_when_it_can_be(
    items: list[Item], views: list[HostView], policy: Policy, relative: bool
) -> None:
    """Under all constraints a placement is always valid, and refused only where brute force finds none either."""
    assert agrees_with_brute_force(items, views, policy=policy, relative=relative)


@settings(max_examples=100)
@given(tight())
def test_room_that_is_there_is_found(demand: tuple[list[Item], list[HostView]]) -> None:
    """Where limits, quotas and groups compete for the last room, a demand is refused only if nothing fits."""
    assert agrees_with_brute_force(*demand)


def test_packing_is_not_all_there_is_to_try() -> None:
    """A demand that neither spreading nor packing places, but search does."""
    views = [*hosts("h1", quota=Quota(vcpus=4)), *hosts("h2", quota=Quota(vcpus=6))]
    assert planned([vms("a", vcpus=3), vms("b[0-1]", vcpus=2), vms("c", vcpus=3)], views) == {
        "h1": "b[0-1]",
        "h2": "a,c",
    }


@settings(max_examples=50)
@given(demands(), host_views())
def test_a_plan_follows_from_its_input(items: list[Item], views: list[HostView]) -> None:
    """The same demand gives the same placement or refusal, in whatever order the hosts are listed."""

    def outcome(seen: list[HostView]) -> object:
        try:
            return place(items, seen, residents=RESIDENTS)
        except Refused as error:
            return str(error), error.details

    assert outcome(views) == outcome(views[::-1])


def test_a_hopeless_demand_is_refused_soon() -> None:
    """The search gives up: sixty solo VMs and groups on fifty uneven hosts are refused, not pondered."""
    views = [
        HostView(name=f"h{n}", capacity=Capacity(cpus=n + 1, memory_mib=n + 1), load=Load(vcpus=n, vms=n % 2))
        for n in range(50)
    ]
    items = [vms("s[0-39]", coschedule=0), vms("g[0-19]", coschedule=1), vms("p[0-39]")]
    assert isinstance(refusal(items, views), Unplaceable)
