"""Demand as the planner works on it: VMs that go together as units, equal units as batches, in planning order.

This module refuses to know hosts: what fits where is `ledger`'s business.

A *unit* is one VM, or a VM with all that are colocated with it, over chains. The order is DESIGN.md's
(section 4): pinned with limits, pinned, limited (small limits first), groups with many colocated VMs, the rest.
In the rest heavy VMs go first, so that a big one queued last does not ruin the balance; among equally heavy ones
the shape of which there are most; within a batch it is the order of the queue.

A VM is a *slot*: its number when the VMs of all items are counted through. Items are read as columns, and only
columns that hold more than one value take part in telling items apart: that, and numbers instead of objects for
VMs, is why 100,000 entries cost a few milliseconds here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import accumulate, compress
from operator import eq
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from shoal.core.load import Load, Policy, weight
from shoal.errors import InvalidRequest
from shoal_orchestrator.core.colocation import Root, find_roots
from shoal_orchestrator.core.placement import Item, Residents

_Groups = Collection[Sequence[int]]


class _Sum(NamedTuple):
    """A load that can be a key: to build and to hash it takes a fraction of the time."""

    vcpus: int
    memory_mib: int
    nics: int
    vms: int


class Batch(msgspec.Struct, gc=False):
    """Units that are all alike: `size` VMs each with `load` together, `pins` the host of each, if they are pinned.

    `limit` is the strictest coschedule of a unit, `because` why it is pinned, `first` the number of the first
    item. `slots` are the VMs of the first unit, then those of the second, and so on.
    """

    pins: Sequence[str]
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

    def part(self, units: slice) -> Batch:
        """Return some of the units as a batch."""
        start, stop, _ = units.indices(self.count)
        return replace(
            self, pins=self.pins[units], slots=self.slots[start * self.size : max(start, stop) * self.size]
        )


class Demand(msgspec.Struct, gc=False):
    """All that is to be placed. `starts[i]` is the first slot of the i-th item; the last entry is their number.

    `single` tells that each item is one VM, so that an item's number is its VM's slot. `homeless` are the VMs that
    are colocated with one that does not exist, or in a circle, by that one's name; they are in no batch.
    """

    items: Sequence[Item]
    starts: Sequence[int]
    single: bool
    batches: list[Batch]
    homeless: dict[str, list[int]]

    @property
    def total(self) -> int:
        """How many VMs these are."""
        return self.starts[-1]

    def place(self, slot: int) -> tuple[int, int]:
        """Return the number of a VM's item, and the VM's slot."""
        # items without VMs start where the next one does
        return (slot if self.single else bisect_right(self.starts, slot) - 1), slot

    def item(self, slot: int) -> tuple[Item, int]:
        """Return the item of a VM, and the VM's number in it."""
        number, _ = self.place(slot)
        return self.items[number], slot - self.starts[number]

    def name(self, slot: int) -> str:
        """Return the name of a VM; empty if it has none yet."""
        item, index = self.item(slot)
        return item.name(index)

    def slots(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return the slots of some items' VMs."""
        if self.single:
            return numbers
        starts = self.starts
        if len(numbers) == 1:
            return range(starts[numbers[0]], starts[numbers[0] + 1])
        return [slot for number in numbers for slot in range(starts[number], starts[number + 1])]


def make_demand(items: Sequence[Item], residents: Residents, policy: Policy) -> Demand:
    """Return everything to be placed, as batches in planning order.

    Raises InvalidRequest for an item with both schedule and colocate.
    """
    sizes = list(map(len, [item.names for item in items]))
    if 0 in sizes:
        sizes = [size or item.count for size, item in zip(sizes, items, strict=True)]
    single = sizes.count(1) == len(sizes)
    starts = range(len(sizes) + 1) if single else list(accumulate(sizes, initial=0))
    demand = Demand(items, starts, single, [], {})
    free, pinned, bound = _tell_apart(items)
    followers: defaultdict[str, list[Sequence[int]]] = defaultdict(list)
    for numbers in bound:
        followers[items[numbers[0]].colocate].append(numbers)
    roots = find_roots(demand, followers.keys(), residents) if followers else {}
    # VMs that others are colocated with leave their items
    leaders = {root[1] for root in roots.values() if isinstance(root, tuple)}
    for numbers in (*free, *pinned):
        slots = demand.slots(numbers)
        if leaders:
            slots = [slot for slot in slots if slot not in leaders]
        if slots:
            item = items[numbers[0]]
            pins = _pins(demand, slots) if item.schedule else ()
            demand.batches.append(Batch(pins, item.coschedule, 1, item.load, numbers[0], slots))
    if followers:
        demand.batches += _make_groups(demand, residents, followers, roots)
    demand.batches.sort(key=lambda batch: _order(batch, policy))
    return demand


def _tell_apart(items: Sequence[Item]) -> tuple[_Groups, _Groups, _Groups]:
    """Return the numbers of items that are alike in what makes a batch: free ones, pinned ones, colocated ones."""
    schedule, colocate = [item.schedule for item in items], [item.colocate for item in items]
    sizes = (
        [item.coschedule for item in items],
        [item.vcpus for item in items],
        [item.memory_mib for item in items],
        [item.nics for item in items],
    )
    columns = [column for column in sizes if column.count(column[0]) < len(column)]
    everything = range(len(items))
    pinned, bound = _having(schedule), _having(colocate)
    free: Sequence[int] = everything
    if pinned and bound and not set(pinned).isdisjoint(bound):
        raise InvalidRequest("cannot specify schedule and colocate in the same config")
    if len(pinned) == len(items):
        free = ()
    elif pinned or bound:
        # equal only where both are empty
        free = list(compress(everything, map(eq, schedule, colocate)))
    return _group(free, columns), _group(pinned, columns), _group(bound, [colocate, *columns])


def _having(column: Sequence[str]) -> Sequence[int]:
    having = list(compress(range(len(column)), column)) if any(column) else ()
    return range(len(column)) if len(having) == len(column) else having


def _group(numbers: Sequence[int], columns: Sequence[Sequence[object]]) -> _Groups:
    """Group items by columns, in which only what differs is looked at."""
    if not numbers:
        return ()
    if not columns:
        return (numbers,)
    if len(numbers) < len(columns[0]):
        columns = [[column[number] for number in numbers] for column in columns]
    keys: Iterable[object] = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for number, key in zip(numbers, keys, strict=True):
        alike[key].append(number)
    return alike.values()


def _pins(demand: Demand, slots: Sequence[int]) -> Sequence[str]:
    items = demand.items
    if len(slots) == len(items) and demand.single:
        return [item.schedule for item in items]
    if demand.single:
        return [items[slot].schedule for slot in slots]
    return [demand.item(slot)[0].schedule for slot in slots]


def _order(batch: Batch, policy: Policy) -> tuple[int, ...]:
    if batch.pins:
        return (0 if batch.limit >= 0 else 1, batch.limit, -batch.size, batch.first)
    if batch.limit >= 0:
        return (2, batch.limit, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)
    return (3, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)


def _make_groups(
    demand: Demand,
    residents: Residents,
    followers: Mapping[str, list[Sequence[int]]],
    roots: Mapping[str, Root],
) -> Collection[Batch]:
    """Return the units of several VMs, and those that follow a resident, as batches."""
    by_root: defaultdict[Root, list[Sequence[int]]] = defaultdict(list)
    for target, parts in followers.items():
        root = roots.get(target)
        if root is None:
            demand.homeless[target] = [slot for numbers in parts for slot in demand.slots(numbers)]
        else:
            by_root[root] += parts
    batches: dict[object, Batch] = {}
    items = demand.items
    for root, parts in by_root.items():
        members = [(items[numbers[0]], demand.slots(numbers)) for numbers in parts]
        slots = [slot for _, some in members for slot in some]
        if len(members) > 1:
            slots.sort()
        if isinstance(root, str):
            first, pin = min(numbers[0] for numbers in parts), residents[root]
            because = f"colocated with `{root}`"
        else:
            first, pin, because = root[0], items[root[0]].schedule, ""
            slots.insert(0, root[1])
            members.append((items[first], (root[1],)))
        limit, load = _together(members)
        pins = [pin] if pin else []
        key = (pin if because else bool(pin), limit, load, because)
        batch = batches.get(key)
        if batch is not None:
            batch.slots += slots  # type: ignore[operator]  # a list, made here
            batch.pins += pins  # type: ignore[operator]  # the same
        elif slots:
            batches[key] = Batch(pins, limit, len(slots), Load(**load._asdict()), first, slots, because)
    return batches.values()


def _together(members: Iterable[tuple[Item, Sequence[int]]]) -> tuple[int, _Sum]:
    """Return the strictest limit of VMs, and what they are promised together."""
    limit, vcpus, memory_mib, nics, vms = -1, 0, 0, 0, 0
    for item, slots in members:
        size = len(slots)
        if size and (0 <= item.coschedule < limit or limit < 0):
            limit = item.coschedule
        vcpus += item.vcpus * size
        memory_mib += item.memory_mib * size
        nics += item.nics * size
        vms += size
    return limit, _Sum(vcpus, memory_mib, nics, vms)
