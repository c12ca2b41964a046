"""Which of the other hosts each host tries to reach when the cluster is checked.

This module refuses to know how. Every host would be too many: n hosts have n² ways between them. Each tries those that
it shares segments with and, where these are few, its neighbours in the order of names, so that a host that nobody
reaches is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from shoal.core.ranges import natural_order

#: how many others a host tries to reach
MOST = 16


def peers_to_try(
    underlays: Mapping[str, str], together: Iterable[Iterable[str]], most: int = MOST
) -> dict[str, dict[str, str]]:
    """For each host with an underlay address: address → name of those to try. `together` are the hosts of segments."""
    order = [host for host in natural_order(underlays) if underlays[host]]
    position = {host: number for number, host in enumerate(order)}
    shared: defaultdict[str, set[str]] = defaultdict(set)
    for hosts in together:
        members = [host for host in hosts if host in position]
        for host in members:
            if len(shared[host]) < len(order):
                shared[host].update(members)
    found = {}
    for host in order:
        at = position[host]
        ring = [order[(at + step) % len(order)] for step in range(1, min(most + 1, len(order)))]
        theirs = _nearest(shared[host] - {host}, at, position)
        chosen = [*theirs[:most], *(other for other in ring if other not in theirs)][:most]
        found[host] = {underlays[other]: other for other in chosen}
    return found


def _nearest(hosts: Iterable[str], at: int, position: Mapping[str, int]) -> list[str]:
    """These hosts in the order of names, beginning after our own: then not all try the same ones."""
    count = len(position)
    return sorted(hosts, key=lambda host: (position[host] - at) % count)
