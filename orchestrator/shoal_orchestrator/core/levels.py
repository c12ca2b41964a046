"""Water-filling: equal units poured onto hosts that are loaded unevenly, all at once.

This module refuses to know hosts and VMs: it orders numbers.

Each host *offers* an endless row of numbers, its key, key + step, key + 2 * step and so on, and the lowest `count`
of all offers are taken, in order. That is exactly what a heap would do one unit after the other. Here it is done
by levels: an offer is level * step + rest, so within a level the hosts stand in the order of their rests, and that
order is the same on every level. Between two levels where a host comes in (the water reaches it) or goes out (it
is full), what is taken is one list of hosts, repeated. The work is that of copying lists: each level at which
something changes costs what it takes, so the whole is linear in hosts and units, save for sorting the hosts.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush

#: above every offer
_NEVER = 1 << 200


def pour(
    keys: Sequence[int], step: int, count: int, mask: int, rooms: Mapping[int, int]
) -> tuple[list[int], list[int], list[int]]:
    """Take the lowest `count` offers, fewer if there are no more.

    `key & mask` is the number of a host, and `step & mask` is 0; keys are all different. `rooms` says how many
    offers (at least one) the hosts make that do not make `count`. Returns the hosts' numbers in the order of the
    offers, then the numbers of all hosts that were reached and, beside it, how many offers of each were taken.
    """
    waiting = sorted(keys)
    taken: list[int] = []
    #: rests of the hosts that are being filled; levels at which some of them are full
    wet: list[int] = []
    full: dict[int, set[int]] = {}
    ends: list[int] = []
    level, reached, below = 0, 0, _NEVER
    while count:
        if not wet:
            if reached == len(waiting):
                below = _NEVER
                break
            level = waiting[reached] // step
        came = bisect_left(waiting, (level + 1) * step, reached)
        if came > reached:
            new = [key - level * step for key in waiting[reached:came]]
            reached = came
            for rest in new if rooms else ():
                room = rooms.get(rest & mask)
                if room is not None:
                    if level + room not in full:
                        full[level + room] = set()
                        heappush(ends, level + room)
                    full[level + room].add(rest)
            # two sorted runs: merged in one pass
            wet += new
            wet.sort()
        if ends and ends[0] == level:
            gone = full.pop(heappop(ends))
            wet = [rest for rest in wet if rest not in gone]
            continue
        change = min(
            ends[0] if ends else _NEVER, waiting[reached] // step if reached < len(waiting) else _NEVER
        )
        rounds = min(change - level, count // len(wet))
        if rounds:
            taken += [rest & mask for rest in wet] * rounds
            level += rounds
            count -= rounds * len(wet)
            below = level * step
        if level < change:
            taken += [rest & mask for rest in wet[:count]]
            below = level * step + (wet[count] if count else 0)
            count = 0
    return taken, *_amounts(waiting[:reached], step, mask, below, rooms)


def _amounts(
    keys: Sequence[int], step: int, mask: int, below: int, rooms: Mapping[int, int]
) -> tuple[list[int], list[int]]:
    """How many of each host's offers lie below a number."""
    numbers = [key & mask for key in keys]
    amounts = [(below - key + step - 1) // step for key in keys]
    if rooms:
        amounts = [
            min(amount, rooms.get(number, amount)) for number, amount in zip(numbers, amounts, strict=True)
        ]
    return numbers, amounts
