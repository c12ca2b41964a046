"""Which of the other hosts each host tries to reach when the cluster is checked.

This module refuses to know how. Every host would be too many: n hosts have n² ways between them. Each tries those that
it shares segments with and, where these are few, its neighbours in the order of names, so that a host that nobody
reaches is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shoal.core.ranges import natural_order

#: how many others a host tries to reach
MOST = 16


def peers_to_try(
    underlays: Mapping[str, str], together: Iterable[Iterable[str]], most: int = MOST
) -> dict[str, dict[str, str]]:
    """For each host with an underlay address: address → name of those to try. `together` are the hosts of segments.

    Each tries `most` others, or all where there are fewer: the nearest after it of those that it shares segments with,
    then the nearest of all. The very next one is always among them: so each is tried by somebody.
    """
    order = [host for host in natural_order(underlays) if underlays[host]]
    shared = _steps_to_fellows(order, together, most)
    found = {}
    for at, host in enumerate(order):
        theirs = shared[at]
        if 1 not in theirs:
            theirs = [*theirs[: most - 1], 1]
        ring = (step for step in range(1, most + 1) if step not in theirs)
        steps = [*theirs, *ring][: min(most, len(order) - 1)]
        others = (order[(at + step) % len(order)] for step in steps)
        found[host] = {underlays[other]: other for other in others}
    return found


def _steps_to_fellows(order: Sequence[str], together: Iterable[Iterable[str]], most: int) -> list[list[int]]:
    """For each host, how far in the order of names the nearest `most` are that it shares segments with.

    We begin after our own name: then not all try the same ones. Of a segment only those that follow are looked at: of a
    thousand hosts in one, each would have a thousand fellows.
    """
    position = {host: at for at, host in enumerate(order)}
    nearest: list[list[int]] = [[] for _ in order]
    for hosts in together:
        members = sorted({position[host] for host in hosts if host in position})
        followers = min(most, len(members) - 1)
        around = [*members, *(at + len(order) for at in members[:most])]
        for number, at in enumerate(members):
            if nearest[at][most - 1 :] == [most]:
                continue  # all that are nearest are its fellows already
            steps = [other - at for other in around[number + 1 : number + 1 + followers]]
            nearest[at] = sorted({*nearest[at], *steps})[:most]
    return nearest
