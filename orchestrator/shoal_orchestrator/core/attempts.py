"""One attempt at a placement: the hosts chosen so far, what is left over, and the two quick ways to fill it.

This module refuses to know which attempt comes when, and how refusals read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby, pairwise

from shoal.core.load import weight
from shoal_orchestrator.core.ledger import UNCAPPED, Ledger
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.units import Batch, Demand


class Attempt:
    """Mutable, and never seen outside of the planner. `placed[slot]` is a host's number, or -1.

    `left` are the slots of units that found no host, batch by batch.
    """

    def __init__(self, demand: Demand, ledger: Ledger) -> None:
        self.demand = demand
        self.batches = demand.batches
        self.ledger = ledger
        self.placed = [-1] * demand.total
        self.left: list[tuple[Batch, Sequence[int]]] = []

    def write(self, batch: Batch, chosen: Sequence[int]) -> None:
        """Note the hosts of the first units of a batch, in order; its other units are left over."""
        slots, size = batch.slots, batch.size
        if size > 1:
            chosen = [number for number in chosen for _ in range(size)]
        if len(chosen) < len(slots):
            self.left.append((batch, slots[len(chosen) :]))
        if size == 1 and slots[-1] - slots[0] == len(slots) - 1:
            # nothing in between: slots of single VMs ascend
            self.placed[slots[0] : slots[0] + len(chosen)] = chosen
            return
        placed = self.placed
        for slot, number in zip(slots, chosen, strict=False):
            placed[slot] = number

    def pinned(self, number: int, batch: Batch) -> None:
        """Place a pinned batch: hosts are not searched."""
        host, count = self.ledger.index.get(batch.pin, -1), batch.count
        if host < 0:
            self.left.append((batch, batch.slots))
            return
        many = self.ledger.fill(host, count, batch.load, batch.limit, number)
        if many < count:
            self.write(batch, [host] * many)
            return
        placed = self.placed
        for slot in batch.slots:
            placed[slot] = host

    def spread_rest(self) -> None:
        """Place what has neither pin nor limit, which is last in order.

        Batches in a row that weigh the same are one to the hosts, unless their quotas tell them apart.
        """
        ledger = self.ledger
        rest = [batch for batch in self.batches if not batch.pin and batch.limit < 0]

        def weighs(batch: Batch) -> tuple[object, ...]:
            return (batch.load,) if ledger.limited else (batch.size, weight(ledger.policy, batch.load))

        for _, alike in groupby(rest, weighs):
            batches = list(alike)
            chosen = ledger.take(sum(batch.count for batch in batches), batches[0].load, -1, -1)
            at = 0
            for batch in batches:
                self.write(batch, chosen[at : at + batch.count])
                at += batch.count

    def placement(self) -> Placement:
        """Return what was chosen, by the names of hosts; a VM that is left over has the host ""."""
        # -1 is the last one
        names = [*self.ledger.names, ""]
        starts, placed = self.demand.starts, self.placed
        if len(starts) == 2:
            return Placement((tuple(map(names.__getitem__, placed)),))
        # one tuple for each host, whatever the number of items of one VM
        single = [(name,) for name in names]
        if self.demand.single:
            return Placement(tuple(map(single.__getitem__, placed)))
        return Placement(
            tuple(
                single[placed[start]]
                if stop - start == 1
                else tuple(map(names.__getitem__, placed[start:stop]))
                for start, stop in pairwise(starts)
            )
        )


def spread(attempt: Attempt) -> bool:
    """Place each unit on the least loaded host that it fits on. Tell whether all were placed."""
    for number, batch in enumerate(attempt.batches):
        if batch.pin:
            attempt.pinned(number, batch)
        elif batch.limit >= 0:
            attempt.write(batch, attempt.ledger.take(batch.count, batch.load, batch.limit, number))
    attempt.spread_rest()
    return not attempt.left


def pack(attempt: Attempt) -> bool:
    """Put limited units together, as many on a host as their limits allow, and spread the rest.

    Strict ones come first, so each host that they fill up keeps as few VMs as it must from the others.
    """
    for number, batch in enumerate(attempt.batches):
        if batch.pin:
            attempt.pinned(number, batch)
        elif batch.limit >= 0:
            attempt.write(batch, _fill_tight(attempt.ledger, batch, number))
    attempt.spread_rest()
    return not attempt.left


def _fill_tight(ledger: Ledger, batch: Batch, owner: int) -> list[int]:
    """Fill hosts that have a cap already, the fullest first, then those with the fewest VMs."""
    keys, cap, vms = ledger.keys(), ledger.cap, ledger.vms
    capped = [(cap[number] - vms[number], keys[number]) for number in ledger.open if cap[number] < UNCAPPED]
    others = [(vms[number], keys[number]) for number in ledger.open if cap[number] == UNCAPPED]
    chosen: list[int] = []
    for _, key in chain(sorted(capped), sorted(others)):
        wanted = batch.count - len(chosen)
        if not wanted:
            break
        number = ledger.number(key)
        chosen += [number] * ledger.fill(number, wanted, batch.load, batch.limit, owner)
    return chosen
