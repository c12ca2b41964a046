"""Queue entries of which only some VMs are placed: divided into what goes and what stays in the queue.

This module refuses to know why VMs are left over.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from shoal.core.ranges import expand, fold
from shoal_orchestrator.core.demand import names_of
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.records import QueueEntry


class Divided(msgspec.Struct, frozen=True):
    """The entries that go, with their placement; what stays queued of divided ones; the next entry's number."""

    going: tuple[QueueEntry, ...]
    placement: Placement
    staying: tuple[QueueEntry, ...]
    next_entry: int


def divide(entries: Sequence[QueueEntry], placement: Placement, next_entry: int) -> Divided:
    """Divide each entry that has VMs with and without a host.

    What stays keeps the entry's number, and so its place in the queue; what goes gets a new one, from `next_entry`.
    Entries that are left over whole are in neither list: nothing about them changes.
    """
    going, hosts, staying = [], [], []
    for entry, chosen in zip(entries, placement.hosts, strict=True):
        if not any(chosen):
            continue
        if all(chosen):
            going.append(entry)
            hosts.append(chosen)
            continue
        placed = [index for index, host in enumerate(chosen) if host]
        left = [index for index, host in enumerate(chosen) if not host]
        going.append(replace(_part(entry, placed), entry=next_entry))
        hosts.append(tuple(chosen[index] for index in placed))
        staying.append(_part(entry, left))
        next_entry += 1
    return Divided(tuple(going), Placement(tuple(hosts)), tuple(staying), next_entry)


def _part(entry: QueueEntry, indexes: Sequence[int]) -> QueueEntry:
    names = names_of(entry)
    if not names:
        return replace(entry, count=len(indexes))
    chosen = [names[index] for index in indexes]
    folded = fold(chosen)
    # Folding sorts; placements go by the order of names.
    text = folded if expand(folded) == chosen else ",".join(chosen)
    return replace(entry, count=len(chosen), names=text)
