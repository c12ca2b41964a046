"""One attempt at a placement: the hosts chosen so far, what is left over, and the two quick ways to fill it.

This module refuses to know which attempt comes when, and how refusals read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import chain, groupby, pairwise

from msgspec.structs import replace

from shoal.core.load import weight
from shoal_orchestrator.core.ledger import UNCAPPED, Ledger
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.units import Batch, Demand

#: a host in a placement: its name, or its name in a tuple of its own
Label = str | tuple[str]


class Attempt:
    """Mutable, and never seen outside of the planner. `placed[slot]` is a host's label: what the placement holds.

    That is the host's name; or, where every item is one VM, a tuple of it, one for each host. The label of no host
    is the last one. `left` are the slots of units that found no host, batch by batch.
    """

    def __init__(self, demand: Demand, ledger: Ledger) -> None:
        self.demand = demand
        self.batches = demand.batches
        self.ledger = ledger
        names = [*ledger.names, ""]
        self.labels: list[Label] = [(name,) for name in names] if demand.single else [*names]
        self.placed = self.labels[-1:] * demand.total
        self.left: list[tuple[Batch, Sequence[int]]] = []

    def write(self, batch: Batch, chosen: list[Label]) -> None:
        """Note the hosts of the first units of a batch, in order; its other units are left over."""
        slots, size = batch.slots, batch.size
        if len(chosen) < batch.count:
            self.left.append((batch, slots[len(chosen) * size :]))
        if size > 1:
            chosen = [label for label in chosen for _ in range(size)]
        if size == 1 and slots[-1] - slots[0] == len(slots) - 1:
            # nothing in between: slots of single VMs ascend
            if len(chosen) == len(self.placed):
                self.placed = chosen
                return
            self.placed[slots[0] : slots[0] + len(chosen)] = chosen
            return
        placed = self.placed
        for slot, label in zip(slots, chosen, strict=False):
            placed[slot] = label

    def pinned(self, number: int, batch: Batch) -> None:
        """Place a pinned batch: hosts are not searched. On a host that is too full, the first units stay."""
        ledger = self.ledger
        index = ledger.index
        wanted = Counter(batch.pins)
        short: dict[str, int] = {}
        if ledger.free and batch.limit < 0 and wanted.keys() <= index.keys():
            by_count: defaultdict[int, list[int]] = defaultdict(list)
            for pin, count in wanted.items():
                by_count[count].append(index[pin])
            ledger.add_many([(hosts, count) for count, hosts in by_count.items()], batch.load, -1, number)
        else:
            for pin, count in wanted.items():
                host = index.get(pin, -1)
                many = ledger.fill(host, count, batch.load, batch.limit, number) if host >= 0 else 0
                if many < count:
                    short[pin] = many
        # a host that is not there has no label, and no room
        labels = dict.fromkeys(wanted, self.labels[-1]) | dict(zip(ledger.names, self.labels, strict=False))
        chosen = [labels[pin] for pin in batch.pins]
        self.write(batch, self._leave(batch, chosen, short) if short else chosen)

    def _leave(self, batch: Batch, chosen: list[Label], room: dict[str, int]) -> list[Label]:
        """Leave the units over that exceed the room on hosts that are short of it. Return who goes where."""
        left: dict[str, list[int]] = {}
        kept: list[Label] = []
        for unit, (pin, label) in enumerate(zip(batch.pins, chosen, strict=True)):
            if room.get(pin, 1) > 0:
                kept.append(label)
                if pin in room:
                    room[pin] -= 1
            else:
                kept.append(self.labels[-1])
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
            chosen = ledger.take(sum(batch.count for batch in batches), batches[0].load, -1, -1, self.labels)
            at = 0
            for batch in batches:
                self.write(batch, chosen[at : at + batch.count])
                at += batch.count

    def lost_pin(self) -> Batch | None:
        """Return the first units that are pinned to a host that is not there; None if there are none."""
        index = self.ledger.index
        return next((batch for batch, _ in self.left if batch.pins and batch.pins[0] not in index), None)

    def hopeful(self) -> bool:
        """Tell whether another attempt might place what this one left over: pinned units have no other way."""
        return not any(batch.pins for batch, _ in self.left)

    def placement(self) -> Placement:
        """Return what was chosen; a VM that is left over has the host ""."""
        placed = self.placed
        if self.demand.single:
            return Placement(tuple(placed))  # type: ignore[arg-type]  # labels are tuples
        slices = pairwise(self.demand.starts)
        return Placement(tuple(tuple(placed[start:stop]) for start, stop in slices))  # type: ignore[arg-type]  # names


def spread(attempt: Attempt) -> bool:
    """Place each unit on the least loaded host that it fits on. Tell whether all were placed."""
    for number, batch in enumerate(attempt.batches):
        if batch.pins:
            attempt.pinned(number, batch)
        elif batch.limit >= 0:
            attempt.write(
                batch, attempt.ledger.take(batch.count, batch.load, batch.limit, number, attempt.labels)
            )
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
            attempt.write(
                batch, [attempt.labels[host] for host in _fill_tight(attempt.ledger, batch, number)]
            )
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
