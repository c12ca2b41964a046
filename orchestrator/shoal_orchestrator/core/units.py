"""Demand as the planner works on it: VMs that go together as units, equal units as batches, in planning order.

This module refuses to know hosts: what fits where is `ledger`'s business.

A *unit* is one VM, or a VM with all that are colocated with it, over chains. The order is DESIGN.md's
(section 4): pinned with limits, pinned, limited (small limits first), groups with many colocated VMs, the rest.
In the rest heavy VMs go first, so that a big one queued last does not ruin the balance; among equally heavy ones
the shape of which there are most; within a batch it is the order of the queue.

A VM is a *slot*: its number when the VMs of all items are counted through. Numbers cost nothing, and 100,000 of
anything else would be most of the planner's time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from itertools import accumulate

import msgspec

from shoal.core.load import Load, Policy, weight
from shoal.errors import InvalidRequest, Unplaceable
from shoal_orchestrator.core.placement import Item, Residents

#: what makes items equal: schedule, coschedule, vcpus, memory_mib, nics, colocate
_Shape = tuple[str, int, int, int, int, str]
#: where colocate chains end: (number of the item, slot) of a queued VM, or a resident's name
_Root = tuple[int, int] | str


class Batch(msgspec.Struct, gc=False):
    """Units that are all alike: pinned to `pin` (or nowhere), `size` VMs each with `load` together.

    `limit` is the strictest coschedule of a unit, `because` why it is pinned, `first` the number of the first
    item. `slots` are the VMs of the first unit, then those of the second, and so on.
    """

    pin: str
    limit: int
    size: int
    load: Load
    first: int
    slots: Sequence[int]
    because: str = ""

    @property
    def count(self) -> int:
        """How many units these are."""
        return len(self.slots) // self.size


class Demand(msgspec.Struct, gc=False):
    """All that is to be placed. `starts[i]` is the first slot of the i-th item; the last entry is their number.

    `single` tells that each item is one VM, so that an item's number is its VM's slot.
    """

    items: Sequence[Item]
    starts: Sequence[int]
    single: bool
    batches: list[Batch]

    @property
    def total(self) -> int:
        """How many VMs these are."""
        return self.starts[-1]

    def item(self, slot: int) -> tuple[Item, int]:
        """Return the item of a VM, and the VM's number in it."""
        # items without VMs start where the next one does
        number = bisect_right(self.starts, slot) - 1
        return self.items[number], slot - self.starts[number]

    def name(self, slot: int) -> str:
        """Return the name of a VM; empty if it has none yet."""
        item, index = self.item(slot)
        return item.name(index)


def make_demand(items: Sequence[Item], residents: Residents, policy: Policy) -> Demand:
    """Return everything to be placed, as batches in planning order.

    Raises InvalidRequest for an item with both schedule and colocate, and Unplaceable for VMs colocated with ones
    that do not exist, with themselves, or in a circle.
    """
    sizes = [len(item.names) or item.count for item in items]
    single = sum(sizes) == len(sizes) and 0 not in sizes
    starts = range(len(sizes) + 1) if single else list(accumulate(sizes, initial=0))
    alike: defaultdict[_Shape, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        alike[item.schedule, item.coschedule, item.vcpus, item.memory_mib, item.nics, item.colocate].append(
            number
        )
    demand = Demand(items, starts, single, [])
    if any(schedule and colocate for schedule, _, _, _, _, colocate in alike):
        raise InvalidRequest("cannot specify schedule and colocate in the same config")
    roots = _find_roots(demand, {shape[5] for shape in alike if shape[5]}, residents)
    # VMs that others are colocated with leave their items
    leaders = {root[1] for root in roots.values() if not isinstance(root, str)}
    for shape, numbers in alike.items():
        if shape[5]:
            continue
        slots = numbers if single else _slots(starts, numbers)
        if leaders:
            slots = [slot for slot in slots if slot not in leaders]
        if slots:
            first = items[numbers[0]]
            demand.batches.append(Batch(shape[0], shape[1], 1, first.load, numbers[0], slots))
    if roots:
        demand.batches += _make_groups(demand, residents, alike, roots)
    demand.batches.sort(key=lambda batch: _order(batch, policy))
    return demand


def _slots(starts: Sequence[int], numbers: Sequence[int]) -> Sequence[int]:
    if len(numbers) == 1:
        return range(starts[numbers[0]], starts[numbers[0] + 1])
    return [slot for number in numbers for slot in range(starts[number], starts[number + 1])]


def _order(batch: Batch, policy: Policy) -> tuple[int, ...]:
    limited = batch.limit >= 0
    if batch.pin:
        return (0 if limited else 1, batch.limit, -batch.size, batch.first)
    if limited:
        return (2, batch.limit, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)
    return (3, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)


def _find_roots(demand: Demand, targets: Set[str], residents: Residents) -> dict[str, _Root]:
    """Return, for each VM that is named in a colocate, the end of the chain that begins there."""
    if not targets:
        return {}
    queued: dict[str, tuple[int, int]] = {}
    for number, item in enumerate(demand.items):
        if not targets.isdisjoint(item.names):
            start = demand.starts[number]
            queued.update(
                (name, (number, start + at)) for at, name in enumerate(item.names) if name in targets
            )
    found: dict[str, _Root | None] = {}
    for target in targets:
        _follow(target, demand.items, queued, residents, found)
    roots = {target: root for target, root in found.items() if root is not None}
    if len(roots) < len(targets):
        raise Unplaceable(f"nonexistent colocate VMs: [{', '.join(sorted(targets - roots.keys()))}]")
    return roots


def _follow(
    target: str,
    items: Sequence[Item],
    queued: Mapping[str, tuple[int, int]],
    residents: Residents,
    found: dict[str, _Root | None],
) -> None:
    """Follow a chain to a VM that is colocated with none, or to a resident; None if there is no end."""
    path: list[str] = []
    root: _Root | None = None
    while target not in found:
        # a circle comes back here and finds None
        found[target] = None
        path.append(target)
        leader = queued.get(target)
        if leader is None:
            root = target if target in residents else None
            break
        if not items[leader[0]].colocate:
            root = leader
            break
        target = items[leader[0]].colocate
    else:
        root = found[target]
    found.update(dict.fromkeys(path, root))


def _make_groups(
    demand: Demand,
    residents: Residents,
    alike: Mapping[_Shape, list[int]],
    roots: Mapping[str, _Root],
) -> list[Batch]:
    """Return the units of several VMs, and those that follow a resident, as batches."""
    followers: defaultdict[_Root, list[tuple[_Shape, list[int]]]] = defaultdict(list)
    for shape, numbers in alike.items():
        if shape[5]:
            followers[roots[shape[5]]].append((shape, numbers))
    batches: dict[object, Batch] = {}
    for root, parts in followers.items():
        numbers = sorted([number for _, some in parts for number in some])
        slots = list(numbers if demand.single else _slots(demand.starts, numbers))
        first, pin, because = numbers[0], "", ""
        limit, vcpus, memory_mib, nics = -1, 0, 0, 0
        if isinstance(root, str):
            pin, because = residents[root], f"colocated with `{root}`"
        else:
            first = root[0]
            leader = demand.items[first]
            slots.insert(0, root[1])
            pin, limit = leader.schedule, leader.coschedule
            vcpus, memory_mib, nics = leader.vcpus, leader.memory_mib, leader.nics
        for shape, some in parts:
            size = len(some) if demand.single else len(_slots(demand.starts, some))
            if size and shape[1] >= 0 and (shape[1] < limit or limit < 0):
                limit = shape[1]
            vcpus += shape[2] * size
            memory_mib += shape[3] * size
            nics += shape[4] * size
        if not slots:
            continue
        key = (pin, limit, vcpus, memory_mib, nics, len(slots), because)
        batch = batches.get(key)
        if batch is None:
            load = Load(vcpus=vcpus, memory_mib=memory_mib, nics=nics, vms=len(slots))
            batches[key] = Batch(pin, limit, len(slots), load, first, slots, because)
        else:
            batch.slots += slots  # type: ignore[operator]  # a list, made here
    return list(batches.values())
