"""One attempt at a placement: the hosts chosen so far, what is left over, and the two quick ways to fill it.

This module refuses to know which attempt comes when, and how refusals read.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal_orchestrator.core.ledger import UNCAPPED, Ledger
from shoal_orchestrator.core.placement import Item, Placement
from shoal_orchestrator.core.units import Batch, Member


class Attempt:
    """Mutable, and never seen outside of the planner. `placed[item][index]` is a host's number, or -1."""

    def __init__(self, items: Sequence[Item], batches: Sequence[Batch], ledger: Ledger) -> None:
        self.items = items
        self.batches = batches
        self.ledger = ledger
        self.placed: list[list[int]] = [[-1] * item.size for item in items]
        self.left: list[tuple[Batch, list[Member]]] = []

    def write(self, batch: Batch, chosen: Sequence[int]) -> None:
        """Note the hosts of the first units of a batch, in order; its other units are left over."""
        at = 0
        for item, start, stop in batch.spans:
            some = chosen[at : at + stop - start]
            self.placed[item][start : start + len(some)] = some
            at += len(some)
        for group, number in zip(batch.groups, chosen[at:], strict=False):
            for item, index in group:
                self.placed[item][index] = number
        if len(chosen) < batch.count:
            self.left.append((batch, [member for unit in batch.units()[len(chosen) :] for member in unit]))

    def pinned(self, number: int, batch: Batch) -> None:
        """Place a pinned batch: hosts are not searched."""
        host = self.ledger.index[batch.pin]
        self.write(batch, [host] * self.ledger.fill(host, batch.count, batch.load, batch.limit, number))

    def placement(self) -> Placement:
        """Return what was chosen, by the names of hosts. Only when nothing is left over."""
        name = self.ledger.names.__getitem__
        return Placement(hosts=tuple(tuple(map(name, numbers)) for numbers in self.placed))


def spread(attempt: Attempt) -> bool:
    """Place each unit on the least loaded host that it fits on. Tell whether all were placed."""
    for number, batch in enumerate(attempt.batches):
        if batch.pin:
            attempt.pinned(number, batch)
        else:
            attempt.write(batch, attempt.ledger.take(batch.count, batch.load, batch.limit, number))
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
        else:
            attempt.write(batch, attempt.ledger.take(batch.count, batch.load, batch.limit, number))
    return not attempt.left


def _fill_tight(ledger: Ledger, batch: Batch, owner: int) -> list[int]:
    """Fill hosts that have a cap already, the fullest first, then those with the fewest VMs."""

    def order(number: int) -> tuple[bool, int, int]:
        capped = ledger.cap[number] < UNCAPPED
        return (
            not capped,
            ledger.cap[number] - ledger.vms[number] if capped else ledger.vms[number],
            ledger.key(number),
        )

    chosen: list[int] = []
    for number in sorted(range(len(ledger.hosts)), key=order):
        wanted = batch.count - len(chosen)
        if not wanted:
            break
        chosen += [number] * ledger.fill(number, wanted, batch.load, batch.limit, owner)
    return chosen
