"""Editing a dry run by hand (`ns schedule mv`): VMs of a placement go to another host, all or none.

This module refuses to know how placements are made and stored; whether an edit is allowed is `check`'s judgement.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from shoal.core.ranges import fold, natural_order
from shoal.errors import NotFound, Refused
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.failures import MOST_NAMED
from shoal_orchestrator.core.placement import HostView, Item, Placement, Residents


class Moved(msgspec.Struct, frozen=True):
    """The edited placement, the VMs whose own `schedule` it overrides (earlier edits included), notes for people."""

    placement: Placement
    moved: frozenset[str]
    notes: tuple[str, ...] = ()


def move(
    placement: Placement,
    items: Sequence[Item],
    hosts: Sequence[HostView],
    names: Sequence[str],
    destination: str,
    *,
    residents: Residents | None = None,
    moved: Collection[str] = (),
    force: bool = False,
) -> Moved:
    """Return the placement with the VMs `names` on `destination`.

    `moved` are the VMs that earlier edits overrode the schedule of. Raises NotFound for a VM that is not in the
    placement, Refused for a host that is not in the namespace or takes no VMs, and for an edit that breaks a
    coschedule, colocate or quota that held before; `force` allows the last.
    """
    view = next((host for host in hosts if host.name == destination), None)
    if view is None:
        raise Refused("new dst host is not in namespace")
    if not view.accepting:
        raise Refused(f"new dst host `{destination}` takes no VMs: {view.reason or 'it is draining or lost'}")
    wanted = set(names)
    missing = wanted.difference(*(item.names for item in items))
    if missing:
        raise NotFound(
            f"reassign {fold(missing)}: vm not found", names=tuple(natural_order(missing))[:MOST_NAMED]
        )
    chosen: list[tuple[str, ...]] = []
    overridden: set[str] = set()
    for item, before in zip(items, placement.hosts, strict=True):
        if wanted.isdisjoint(item.names):
            chosen.append(before)
            continue
        pairs = zip(item.names, before, strict=True)
        chosen.append(tuple(destination if name in wanted else host for name, host in pairs))
        if item.schedule and item.schedule != destination:
            overridden |= wanted.intersection(item.names)
    edited = Placement(hosts=tuple(chosen))
    now = frozenset(moved) | overridden
    known = set(check(placement, items, hosts, residents, moved=moved))
    broken = [
        problem for problem in check(edited, items, hosts, residents, moved=now) if problem not in known
    ]
    if broken and not force:
        raise Refused(f"cannot move {fold(wanted)} to {destination}: {broken[0]}", details=tuple(broken[1:]))
    notes = [f"overrides the schedule of {fold(overridden)}"] if overridden else []
    notes += [f"forced: {problem}" for problem in broken]
    return Moved(edited, now, tuple(notes))
