"""One attempt at a placement: the hosts chosen so far, what is left over, and the two quick ways to fill it.

This module refuses to know which attempt comes when, and how refusals read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, groupby, pairwise

from msgspec.structs import replace

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
        if len(chosen) < batch.count:
            self.left.append((batch, slots[len(chosen) * size :]))
        if size > 1:
            chosen = [number for number in chosen for _ in range(size)]
        if size == 1 and slots[-1] - slots[0] == len(slots) - 1:
            # nothing in between: slots of single VMs ascend
            self.placed[slots[0] : slots[0] + len(chosen)] = chosen
            return
        placed = self.placed
        for slot, number in zip(slots, chosen, strict=False):
            placed[slot] = number

    def pinned(self, number: int, batch: Batch) -> None:
        """Place a pinned batch: hosts are not searched. On a host that is too full, the first units stay."""
        ledger = self.ledger
        index = ledger.index
        chosen = [index.get(pin, -1) for pin in batch.pins]
        short = {-1: 0} if -1 in chosen else {}
        if ledger.free and batch.limit < 0 and not short:
            ledger.add_counted(chosen, batch.load, -1, number)
        else:
            for host, count in Counter(chosen).items():
                many = ledger.fill(host, count, batch.load, batch.limit, number) if host >= 0 else 0
                if many < count:
                    short[host] = many
        if short:
            chosen = self._leave(batch, chosen, short)
        self.write(batch, chosen)

    def _leave(self, batch: Batch, chosen: Sequence[int], room: dict[int, int]) -> list[int]:
        """Leave the units over that exceed the room on hosts that are short of it. Return who goes where."""
        left: dict[str, list[int]] = {}
        kept: list[int] = []
        for unit, (pin, host) in enumerate(zip(batch.pins, chosen, strict=True)):
            if room.get(host, 1) > 0:
                kept.append(host)
                if host in room:
                    room[host] -= 1
            else:
                kept.append(-1)
                left.setdefault(pin, []).extend(batch.slots[unit * batch.size : (unit + 1) * batch.size])
        self.left += [
            (replace(batch, pins=(pin,) * (len(slots) // batch.size), slots=slots), slots)
            for pin, slots in left.items()
        ]
        return kept

    def spread_rest(self) -> None:
        """Place what has neither pin nor limit, which is last in order.

        Batches in a row that weigh the same are one to the hosts, unless their quotas tell them apart.
        """
        ledger = self.ledger
        rest = [batch for batch in self.batches if not batch.pins and batch.limit < 0]

        def weighs(batch: Batch) -> tuple[object, ...]:
            return (batch.load,) if ledger.limited else (batch.size, weight(ledger.policy, batch.load))

        for _, alike in groupby(rest, weighs):
            batches = list(alike)
            chosen = ledger.take(sum(batch.count for batch in batches), batches[0].load, -1, -1)
            at = 0
            for batch in batches:
                self.write(batch, chosen[at : at + batch.count])
                at += batch.count

    def hopeful(self) -> bool:
        """Tell whether another attempt might place what this one left over: pinned units have no other way."""
        return not any(batch.pins for batch, _ in self.left)

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
        if batch.pins:
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
        if batch.pins:
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
