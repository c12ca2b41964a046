"""Who is colocated with whom: the ends of colocate chains.

This module refuses to know hosts and limits: it follows names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, compress, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal_orchestrator.core.placement import Item, Residents
    from shoal_orchestrator.core.units import Demand

#: where colocate chains end: (number of the item, slot) of a queued VM, or a resident's name
Root = tuple[int, int] | str


def find_roots(demand: Demand, targets: Collection[str], residents: Residents) -> dict[str, Root]:
    """Return, for each VM that is named in a colocate, the end of the chain that begins there.

    Those without an end, as they do not exist or stand in a circle, are missing. A name that is both queued and a
    resident's is the queued one.
    """
    wanted = frozenset(targets)
    items = demand.items
    names = [item.names for item in items]
    if demand.single and all(names):
        found = [(name, number) for number, (name,) in enumerate(names) if name in wanted]
        queued = {name: (number, number) for name, number in found}
    elif all(names):
        # the place of a name among all names is its VM's slot
        slots = compress(count(), map(wanted.__contains__, chain.from_iterable(names)))
        places = map(demand.place, slots)
        queued = {names[number][slot - demand.starts[number]]: (number, slot) for number, slot in places}
    else:
        queued = {
            name: (number, demand.starts[number] + index)
            for number, some in enumerate(names)
            for index, name in enumerate(some)
            if name in wanted
        }
    ends: dict[str, Root | None] = {}
    for target in targets:
        if target not in ends:
            _follow(target, items, queued, residents, ends)
    return {target: root for target, root in ends.items() if root is not None and target in wanted}


def _follow(
    target: str,
    items: Sequence[Item],
    queued: Mapping[str, tuple[int, int]],
    residents: Residents,
    found: dict[str, Root | None],
) -> None:
    """Follow a chain to a VM that is colocated with none, or to a resident; None if there is no end."""
    path: list[str] = []
    root: Root | None = None
    while target not in found:
        # a circle comes back here and finds None
        found[target] = None
        path.append(target)
        leader = queued.get(target)
        if leader is None:
            root = target if target in residents else None
            break
        if not items[leader[0]].colocate:
            root = leader
            break
        target = items[leader[0]].colocate
    else:
        root = found[target]
    found.update(dict.fromkeys(path, root))
