"""What the planner's docstring promises, case by case, against a naive loop and against brute force.

Seeded loops of thousands of tiny cases: each builds a demand and hosts at random, and compares.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from shoal.core.load import POLICIES, Capacity, Load, Policy, Quota
from shoal.core.ranges import expand, natural_key
from shoal.errors import Unplaceable
from shoal_orchestrator.core import scheduler
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, NamespaceLimit
from shoal_orchestrator.core.scheduler import place, place_some

FIELD = {"cpucommit": "vcpus", "netcommit": "nics", "memload": "memory_mib"}


def random_views(rng: Random, most: int, *, constrained: bool) -> list[HostView]:
    views = []
    for number in range(rng.randint(1, most)):
        there = rng.choice((0, 0, 1, 2, 3))
        view = HostView(
            name=f"h{number * 5}",
            capacity=Capacity(cpus=rng.choice((1, 2, 4, 6)), memory_mib=rng.choice((1024, 3000, 4096))),
            load=Load(
                vcpus=rng.randint(0, 5), memory_mib=512 * rng.randint(0, 3), nics=rng.randint(0, 3), vms=there
            ),
        )
        if constrained:
            quota = Quota(
                vcpus=rng.choice((-1, -1, 6, 8)),
                memory_mib=rng.choice((-1, -1, 2048)),
                vms=rng.choice((-1, -1, 3)),
            )
            limits = (CoscheduleLimit("old", rng.randint(1, 4)),) if there and rng.random() < 0.2 else ()
            view = HostView(
                name=view.name,
                capacity=view.capacity,
                load=view.load,
                quota=quota,
                limits=limits,
                accepting=rng.random() < 0.9,
            )
        views.append(view)
    rng.shuffle(views)
    return views


def random_items(rng: Random, entries: int, most: int, *, constrained: bool) -> list[Item]:
    items: list[Item] = []
    for number in range(rng.randint(1, entries)):
        changes: dict[str, Any] = {}
        if constrained:
            kind = rng.randrange(8)
            changes["coschedule"] = rng.choice((-1, -1, -1, 0, 1, 2, 3))
            if kind == 0:
                changes["schedule"] = rng.choice(("h0", "h5"))
            elif kind <= 2:
                leaders = [name for item in items for name in item.names] or ["resident"]
                changes["colocate"] = rng.choice([*leaders, "resident"])
        items.append(
            Item(
                names=tuple(f"{'abcdefgh'[number]}{i}" for i in range(rng.randint(1, most))),
                vcpus=rng.randint(1, 3),
                memory_mib=rng.choice((512, 1024)),
                nics=rng.randint(0, 2),
                **changes,
            )
        )
    rng.shuffle(items)
    return items


def naive(items: list[Item], views: list[HostView], policy: Policy, relative: bool) -> dict[str, str]:
    """One VM at a time to the least loaded host; heavy VMs first, of equally heavy ones the largest shape first."""
    field = FIELD[policy]
    shapes: dict[Load, list[int]] = {}
    for number, item in enumerate(items):
        shapes.setdefault(item.load, []).extend([number] * item.size)
    order = sorted(shapes.values(), key=lambda n: (-getattr(items[n[0]], field), -len(n), n[0]))
    names = sorted((view.name for view in views), key=natural_key)
    by_name = {view.name: view for view in views}
    load = {name: getattr(by_name[name].load, field) for name in names}
    vms = {name: by_name[name].load.vms for name in names}
    found: dict[str, str] = {}

    def rank(name: str) -> tuple[float, int]:
        capacity = by_name[name].capacity
        value = float(load[name])
        if policy == "cpucommit" and relative:
            value /= capacity.cpus
        elif policy == "memload":
            value = value / capacity.memory_mib if relative else value - capacity.memory_mib
        return value, vms[name]

    for numbers in order:
        for number in dict.fromkeys(numbers):
            for name in items[number].names:
                host = min(names, key=rank)
                load[host] += getattr(items[number], field)
                vms[host] += 1
                found[name] = host
    return found


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("relative", [False, True])
def test_without_constraints_every_case_is_the_naive_rule(policy: Policy, relative: bool) -> None:
    """In thousands of cases under each policy the placement is, VM by VM, that of a naive loop."""
    rng = Random(f"{policy} {relative}")
    for _ in range(3_500):
        items = random_items(rng, 4, 9, constrained=False)
        views = random_views(rng, 6, constrained=False)
        assert place(items, views, policy, relative=relative).of(items) == naive(
            items, views, policy, relative
        )


class BruteForce:
    """Is there any placement? VM by VM, every host, with nothing cleverer than giving up a broken one early."""

    def __init__(self, items: list[Item], views: list[HostView], residents: dict[str, str]) -> None:
        self.vms = [(item, item.name(index)) for item in items for index in range(item.size)]
        self.views = [view for view in views if view.accepting]
        self.residents = residents
        self.where: dict[str, str] = {}
        self.there: dict[str, list[Item]] = {view.name: [] for view in self.views}

    def finds_one(self, at: int = 0) -> bool:
        if at == len(self.vms):
            return all(
                self.where.get(item.colocate, self.residents.get(item.colocate)) == self.where[name]
                for item, name in self.vms
                if item.colocate
            )
        item, name = self.vms[at]
        for view in self.views:
            known = self.where.get(item.colocate, view.name if item.colocate else "")
            if item.schedule not in ("", view.name) or known not in ("", view.name):
                continue
            self.there[view.name].append(item)
            self.where[name] = view.name
            if self._allowed(view) and self.finds_one(at + 1):
                return True
            self.there[view.name].pop()
            del self.where[name]
        return False

    def _allowed(self, view: HostView) -> bool:
        there = self.there[view.name]
        others = view.load.vms + len(there) - 1
        limits = [limit.others for limit in view.limits] + [i.coschedule for i in there if i.coschedule >= 0]
        quota = view.quota
        return (
            all(others <= limit for limit in limits)
            and not 0 <= quota.vms < others + 1
            and not 0 <= quota.vcpus < view.load.vcpus + sum(item.vcpus for item in there)
            and not 0 <= quota.memory_mib < view.load.memory_mib + sum(item.memory_mib for item in there)
        )


def agree(items: list[Item], views: list[HostView], **arguments: Any) -> bool:
    """Tell whether a demand was placed; a placement must be valid, and a refusal right."""
    residents = {"resident": "h0"}
    refusal = ""
    try:
        placement = place(items, views, residents=residents, **arguments)
    except Unplaceable as error:
        refusal = str(error)
    else:
        assert check(placement, items, views, residents) == []
    if refusal and not refusal.startswith("nonexistent"):
        assert not BruteForce(items, views, residents).finds_one(), (items, views, refusal)
    return not refusal


@pytest.mark.parametrize("policy", POLICIES)
def test_with_constraints_a_refusal_of_a_small_demand_is_always_right(policy: Policy) -> None:
    """Thousands of small demands under all constraints: placed validly, or refused where brute force fails too."""
    rng = Random(f"constrained {policy}")
    placed = [
        agree(
            random_items(rng, 3, 2, constrained=True),
            random_views(rng, 3, constrained=True),
            policy=policy,
            relative=rng.random() < 0.5,
        )
        for _ in range(3_000)
    ]
    assert 600 < sum(placed) < 2400, "both outcomes are tried often"


def test_limits_alone_are_solved_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Single VMs with any coschedule limits, free ones and pinned ones: exact without the search."""
    monkeypatch.setattr(scheduler, "search", lambda _: False)
    rng = Random("limits")
    placed = []
    for _ in range(4_000):
        views = [
            HostView(
                name=f"h{number * 5}",
                capacity=Capacity(cpus=4, memory_mib=4096),
                load=Load(vcpus=rng.randint(0, 5), vms=rng.choice((0, 0, 0, 1, 2, 3))),
            )
            for number in range(rng.randint(1, 4))
        ]
        items = []
        for number in range(rng.randint(1, 7)):
            limit = rng.choice((-1, -1, 0, 1, 2, 3, 4))
            pin = rng.choice(views).name if limit < 0 and rng.random() < 0.15 else ""
            items.append(
                Item(names=(f"v{number}",), coschedule=limit, vcpus=rng.choice((1, 2)), schedule=pin)
            )
        placed.append(agree(items, views))
    assert 800 < sum(placed) < 3200, "both outcomes are tried often"


def test_one_host_and_one_shape_are_solved_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything on one host, or equal VMs without limits on hosts with quotas and limits: exact without search."""
    monkeypatch.setattr(scheduler, "search", lambda _: False)
    rng = Random("one")
    on_one_host, of_one_shape = [], []
    for _ in range(1_500):
        views = random_views(rng, 1, constrained=True)
        on_one_host.append(agree(random_items(rng, 4, 2, constrained=True), views))
        item = random_items(rng, 1, 6, constrained=False)
        of_one_shape.append(agree(item, random_views(rng, 3, constrained=True)))
    assert 150 < sum(on_one_host) < 1350, "both outcomes are tried often"
    assert 150 < sum(of_one_shape) < 1350, "both outcomes are tried often"


@pytest.mark.parametrize(("hosts", "units"), [(1, 40), (2, 16), (3, 10), (4, 8), (10, 5)])
def test_the_search_reaches_the_end_of_what_is_guaranteed(hosts: int, units: int) -> None:
    """At the largest sizes of the guarantee a packing is found that only search finds, and a missing one refused.

    VMs of all different sizes fill hosts whose quotas leave not one vCPU free.
    """
    rng = Random(f"{hosts} {units}")
    sizes = [rng.randint(3, 9) for _ in range(units)]
    room = [0] * hosts
    for number, size in enumerate(sizes):
        room[number % hosts] += size
    items = [Item(names=(f"v{number}",), vcpus=size) for number, size in enumerate(sizes)]

    def views(less: int) -> list[HostView]:
        return [
            HostView(
                name=f"h{number}",
                capacity=Capacity(cpus=4, memory_mib=4096),
                quota=Quota(vcpus=vcpus - (less if number == 0 else 0)),
            )
            for number, vcpus in enumerate(room)
        ]

    assert check(place(items, views(0)), items, views(0)) == []
    with pytest.raises(Unplaceable):
        place(items, views(1))


def test_what_is_placed_in_part_is_valid_and_the_rest_is_told() -> None:
    """Partly placed demands keep every promise, are complete where `place` succeeds, and name what is left over."""
    rng = Random("partial")
    residents = {"resident": "h0"}
    for _ in range(1_200):
        items = random_items(rng, 4, 3, constrained=True)
        views = random_views(rng, 3, constrained=True)
        limit = (
            NamespaceLimit(namespace="ns", quota=Quota(vms=rng.choice((-1, 2, 4))))
            if rng.random() < 0.5
            else None
        )
        partial = place_some(items, views, residents=residents, limit=limit)
        assert check(partial.placement, items, views, residents, limit=limit) == []
        left = {name for name, host in partial.placement.of(items).items() if not host}
        told = {name for reason in partial.reasons for name in expand(reason.vms)}
        assert left == told
        try:
            whole = place(items, views, residents=residents, limit=limit)
        except Unplaceable:
            assert left
        else:
            assert partial.placement == whole
            assert not left
