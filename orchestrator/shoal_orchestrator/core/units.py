"""Demand as the planner works on it: VMs that go together as units, equal units as batches, in planning order.

This module refuses to know hosts: what fits where is `ledger`'s business.

A *unit* is one VM, or a VM with all that are colocated with it, over chains. The order is DESIGN.md's
(section 4): pinned with limits, pinned, limited (small limits first), groups with many colocated VMs, the rest.
In the rest heavy VMs go first, so that a big one queued last does not ruin the balance; among equally heavy ones
the shape of which there are most; within a batch it is the order of the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shoal.core.load import Load, Policy, total, weight
from shoal.errors import InvalidRequest, Unplaceable
from shoal_orchestrator.core.placement import Item, Residents

#: a VM: number of its item, number within the item
Member = tuple[int, int]


@dataclass(slots=True)
class Batch:
    """Units that are all alike: pinned to `pin` (or nowhere), `size` VMs each with `load` together.

    `limit` is the strictest coschedule of a unit, `because` why it is pinned.
    Units of one VM are kept as spans (item, start, stop), larger ones as lists of members.
    """

    pin: str
    limit: int
    size: int
    load: Load
    first: int
    because: str = ""
    spans: list[tuple[int, int, int]] = field(default_factory=list)
    groups: list[list[Member]] = field(default_factory=list)
    count: int = 0

    def add_span(self, item: int, start: int, stop: int) -> None:
        """Add single VMs: those of one item from `start` up to `stop`."""
        self.spans.append((item, start, stop))
        self.count += stop - start

    def units(self) -> list[list[Member]]:
        """Return each unit as its members, in order."""
        singles = [[(item, index)] for item, start, stop in self.spans for index in range(start, stop)]
        return singles + self.groups


def make_batches(items: Sequence[Item], residents: Residents, policy: Policy) -> list[Batch]:
    """Return everything to be placed, as batches in planning order.

    Raises Unplaceable for VMs colocated with ones that do not exist, with themselves, or in a circle.
    """
    for item in items:
        if item.schedule and item.colocate:
            raise InvalidRequest("cannot specify schedule and colocate in the same config")
    groups = _find_groups(items, residents)
    # VMs that others are colocated with leave their items
    leaders: dict[int, list[int]] = {}
    for root in groups:
        if isinstance(root, tuple):
            leaders.setdefault(root[0], []).append(root[1])
    batches: dict[object, Batch] = {}
    for number, item in enumerate(items):
        if item.colocate:
            continue
        shape = (item.schedule, item.coschedule, item.vcpus, item.memory_mib, item.nics)
        batch = batches.get(shape)
        if batch is None:
            batch = Batch(item.schedule, item.coschedule, 1, item.load, number)
            batches[shape] = batch
        start = 0
        for leader in sorted(leaders.get(number, ())):
            if leader > start:
                batch.add_span(number, start, leader)
            start = leader + 1
        if item.size > start:
            batch.add_span(number, start, item.size)
    _add_groups(items, residents, groups, batches)
    return sorted(
        (batch for batch in batches.values() if batch.count), key=lambda batch: _order(batch, policy)
    )


def _order(batch: Batch, policy: Policy) -> tuple[int, ...]:
    limited = batch.limit >= 0
    if batch.pin:
        return (0 if limited else 1, batch.limit, -batch.size, batch.first)
    if limited:
        return (2, batch.limit, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)
    return (3, -batch.size, -weight(policy, batch.load), -batch.count, batch.first)


def _find_groups(items: Sequence[Item], residents: Residents) -> dict[Member | str, list[int]]:
    """Return, for each VM or resident that is the end of colocate chains, the items that end there."""
    targets = {item.colocate for item in items if item.colocate}
    if not targets:
        return {}
    queued: dict[str, Member] = {}
    for number, item in enumerate(items):
        if not targets.isdisjoint(item.names):
            queued.update((name, (number, at)) for at, name in enumerate(item.names) if name in targets)
    roots: dict[int, Member | str | None] = {}
    groups: dict[Member | str, list[int]] = {}
    for number, item in enumerate(items):
        if item.colocate:
            root = _find_root(number, items, queued, residents, roots)
            if root is not None:
                groups.setdefault(root, []).append(number)
    homeless = {items[number].colocate for number, root in roots.items() if root is None}
    if homeless:
        raise Unplaceable(f"nonexistent colocate VMs: [{', '.join(sorted(homeless))}]")
    return groups


def _find_root(
    number: int,
    items: Sequence[Item],
    queued: dict[str, Member],
    residents: Residents,
    roots: dict[int, Member | str | None],
) -> Member | str | None:
    """Follow a chain to a VM that is colocated with none, or to a resident; None if there is no end."""
    path: list[int] = []
    root: Member | str | None = None
    while number not in roots:
        # a circle comes back here and finds None
        roots[number] = None
        path.append(number)
        target = items[number].colocate
        leader = queued.get(target)
        if leader is None:
            root = target if target in residents else None
            break
        if not items[leader[0]].colocate:
            root = leader
            break
        number = leader[0]
    else:
        root = roots[number]
    roots.update(dict.fromkeys(path, root))
    return root


def _add_groups(
    items: Sequence[Item],
    residents: Residents,
    groups: dict[Member | str, list[int]],
    batches: dict[object, Batch],
) -> None:
    for root, followers in groups.items():
        members: list[Member] = [root] if isinstance(root, tuple) else []
        members += [(number, at) for number in followers for at in range(items[number].size)]
        parts = [items[number] for number, _ in members]
        load = total(item.load for item in parts)
        limit = min((item.coschedule for item in parts if item.coschedule >= 0), default=-1)
        pin = residents[root] if isinstance(root, str) else items[root[0]].schedule
        because = f"colocated with `{root}`" if isinstance(root, str) else ""
        shape = (pin, limit, load, because)
        batch = batches.get(shape)
        if batch is None:
            batch = Batch(pin, limit, len(members), load, members[0][0], because=because)
            batches[shape] = batch
        batch.groups.append(members)
        batch.count += 1
