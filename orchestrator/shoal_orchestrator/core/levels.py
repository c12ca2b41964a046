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
from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import TypeVar

Label = TypeVar("Label")

#: above every level
_NEVER = 1 << 200

#: hosts' numbers, and how many offers of each of them were taken
Shares = list[tuple[Sequence[int], int]]


def pour(
    keys: Sequence[int], step: int, count: int, mask: int, rooms: Mapping[int, int], labels: Sequence[Label]
) -> tuple[list[Label], Shares]:
    """Take the lowest `count` offers, fewer if there are no more.

    `key & mask` is the number of a host, and `step & mask` is 0; keys are all different. `rooms` says how many
    offers the hosts make that do not make `count`; it must not be 0 for one of these keys. Returns the hosts' labels (by
    number) in the order of the offers; and who got how many, in which a number may stand twice.
    """
    waiting = sorted(keys)
    taken: list[Label] = []
    #: rests of the hosts that are being filled; levels at which some of them are full
    wet: list[int] = []
    full: dict[int, set[int]] = {}
    ends: list[int] = []
    #: at which level hosts came in
    came: list[tuple[int, list[int]]] = []
    last: list[int] = []
    level, reached = 0, 0
    while count:
        if not wet:
            if reached == len(waiting):
                break
            level = waiting[reached] // step
        start, reached = reached, bisect_left(waiting, (level + 1) * step, reached)
        if reached > start:
            new = [key - level * step for key in waiting[start:reached]]
            came.append((level, [rest & mask for rest in new]))
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
            taken += [labels[rest & mask] for rest in wet] * rounds
            level += rounds
            count -= rounds * len(wet)
        if level < change:
            last = [rest & mask for rest in wet[:count]]
            taken += [labels[number] for number in last]
            count = 0
    return taken, [(last, 1), *_shares(came, level, rooms)]


def _shares(came: Sequence[tuple[int, list[int]]], level: int, rooms: Mapping[int, int]) -> Shares:
    """Who got how many below a level: as many as levels since it came in, and no more than it had room for."""
    if not rooms:
        return [(numbers, level - since) for since, numbers in came]
    amounts: defaultdict[int, list[int]] = defaultdict(list)
    for since, numbers in came:
        many = level - since
        for number in numbers:
            room = rooms.get(number, many)
            amounts[room if room < many else many].append(number)  # noqa: FURB136  # min() takes longer
    return [(numbers, many) for many, numbers in amounts.items()]
