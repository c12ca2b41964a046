"""The last attempt: search, for demands that are small or have much symmetry.

This module refuses to know how the quick attempts work, except that they have failed.

Depth first over the units in planning order, each tried on the least loaded hosts first. Hosts that are alike at
that point are tried once, and equal units only in ascending order of hosts: the first placement in the order of
host numbers survives both, so nothing is missed. What bounds it is the number of hosts looked at: to look at all
ways of h hosts and u units takes h + h ** 2 + … + h ** u, less than 2 * h ** u, of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shoal_orchestrator.core.ledger import Ledger

if TYPE_CHECKING:
    from shoal_orchestrator.core.attempts import Attempt
    from shoal_orchestrator.core.units import Batch

#: hosts looked at before the search gives up: about half a second; twice what is guaranteed (`scheduler`)
EFFORT = 200_000
#: more units than this are not searched: each is a level of the recursion
DEPTH = 300


def search(attempt: Attempt) -> bool:
    """Try all ways to place the units, within bounds. Tell whether all were placed."""
    for number, batch in enumerate(attempt.batches):
        if batch.pins:
            attempt.pinned(number, batch)
    free = [(number, batch) for number, batch in enumerate(attempt.batches) if not batch.pins]
    if attempt.left or sum(batch.count for _, batch in free) > DEPTH:
        # pinned units have no other way
        return False
    units = [(number, batch) for number, batch in free for _ in range(batch.count)]
    chosen = _Search(attempt.ledger, units).run()
    if chosen is None:
        return False
    at = 0
    for _, batch in free:
        attempt.write(batch, [attempt.labels[host] for host in chosen[at : at + batch.count]])
        at += batch.count
    return True


class _Search:
    def __init__(self, ledger: Ledger, units: list[tuple[int, Batch]]) -> None:
        self.ledger = ledger
        self.units = units
        self.effort = EFFORT
        self.chosen: list[int] = []
        # what must still find room, from each unit on
        self.needed = [0] * (len(units) + 1)
        for at in range(len(units) - 1, -1, -1):
            self.needed[at] = self.needed[at + 1] + units[at][1].size

    def run(self) -> list[int] | None:
        return self.chosen if self._place(0) else None

    def _place(self, at: int) -> bool:
        if at == len(self.units):
            return True
        if self._room() < self.needed[at]:
            return False
        number, batch = self.units[at]
        # an equal unit has gone before: only hosts from there on
        least = self.chosen[-1] if at and self.units[at - 1][0] == number else 0
        for host in self._candidates(batch, least):
            before = self._state(host)
            self.ledger.add(host, 1, batch.load, batch.limit, number)
            self.chosen.append(host)
            if self._place(at + 1):
                return True
            self.chosen.pop()
            self._restore(host, before)
            if self.effort <= 0:
                return False
        return False

    def _room(self) -> int:
        cap, vms = self.ledger.cap, self.ledger.vms
        return sum(cap[number] - vms[number] for number in self.ledger.open if cap[number] > vms[number])

    def _candidates(self, batch: Batch, least: int) -> list[int]:
        ledger = self.ledger
        self.effort -= len(ledger.open)
        alike: dict[object, int] = {}
        for number in ledger.open:
            if ledger.room(number, batch.load, batch.limit):
                alike.setdefault(ledger.likeness(number), number)
        return sorted((number for number in alike.values() if number >= least), key=ledger.key)

    def _state(self, number: int) -> tuple[int, int, int, int, int, str | int]:
        ledger = self.ledger
        return (
            ledger.vms[number],
            ledger.vcpus[number],
            ledger.memory_mib[number],
            ledger.committed[number],
            ledger.cap[number],
            ledger.owner[number],
        )

    def _restore(self, number: int, state: tuple[int, int, int, int, int, str | int]) -> None:
        ledger = self.ledger
        (
            ledger.vms[number],
            ledger.vcpus[number],
            ledger.memory_mib[number],
            ledger.committed[number],
            ledger.cap[number],
            ledger.owner[number],
        ) = state
