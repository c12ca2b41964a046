"""Does a placement keep every promise? The planner's independent judge.

This module refuses to know how placements are made, and shares no code with the planner: it goes from host to host
and from VM to VM and reads the rules of DESIGN.md section 4 again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from shoal.core.load import total
from shoal_orchestrator.core.placement import HostView, Item, Placement, Residents


def check(
    placement: Placement,
    items: Sequence[Item],
    hosts: Sequence[HostView],
    residents: Residents | None = None,
    *,
    moved: Collection[str] = (),
) -> list[str]:
    """Return what is wrong with a placement, in words; nothing if all is well.

    `moved` are VMs that were put elsewhere by hand, which overrides their own `schedule`.
    """
    if [item.size for item in items] != [len(chosen) for chosen in placement.hosts]:
        return ["the placement is not one of these VMs: their numbers differ"]
    views = {host.name: host for host in hosts}
    found = _check_hosts(placement, items, views)
    found += _check_schedule(placement, items, frozenset(moved))
    found += _check_colocate(placement, items, residents or {})
    arrivals: defaultdict[str, list[tuple[Item, str]]] = defaultdict(list)
    for item, chosen in zip(items, placement.hosts, strict=True):
        for index, host in enumerate(chosen):
            arrivals[host].append((item, item.name(index)))
    for name, arrived in arrivals.items():
        if name in views:
            found += _check_coschedule(views[name], arrived)
            found += _check_quota(views[name], arrived)
    return found


def _check_hosts(placement: Placement, items: Sequence[Item], views: dict[str, HostView]) -> list[str]:
    found: list[str] = []
    for name in sorted({host for chosen in placement.hosts for host in chosen}):
        if name not in views:
            found.append(f"`{name}` is not in the namespace")
        elif not views[name].accepting:
            found.append(f"`{name}` takes no new VMs: {views[name].reason or 'no reason was given'}")
    names = [name for item in items for name in item.names]
    if len(set(names)) != len(names):
        found.append("a VM is placed twice")
    return found


def _check_schedule(placement: Placement, items: Sequence[Item], moved: frozenset[str]) -> list[str]:
    return [
        f"`{item.name(index)}` is on `{host}`, its schedule says `{item.schedule}`"
        for item, chosen in zip(items, placement.hosts, strict=True)
        if item.schedule
        for index, host in enumerate(chosen)
        if host != item.schedule and item.name(index) not in moved
    ]


def _check_colocate(placement: Placement, items: Sequence[Item], residents: Residents) -> list[str]:
    found: list[str] = []
    queued = placement.of(items) if any(item.colocate for item in items) else {}
    for item, chosen in zip(items, placement.hosts, strict=True):
        if not item.colocate:
            continue
        wanted = queued.get(item.colocate) or residents.get(item.colocate)
        if wanted is None or item.colocate in item.names:
            found.append(f"nonexistent colocate VMs: [{item.colocate}]")
            continue
        found += [
            f"`{item.name(index)}` is on `{host}`, `{item.colocate}`, with which it is colocated, on `{wanted}`"
            for index, host in enumerate(chosen)
            if host != wanted
        ]
    return found


def _check_coschedule(host: HostView, arrived: Sequence[tuple[Item, str]]) -> list[str]:
    others = host.load.vms + len(arrived) - 1
    limits = [(limit.others, limit.vm) for limit in host.limits]
    limits += [(item.coschedule, name) for item, name in arrived if item.coschedule >= 0]
    if not limits or min(limits)[0] >= others:
        return []
    strictest, _ = min(limits)
    owner = min(name for limit, name in limits if limit == strictest)
    requirement = f"too many VMs scheduled on {host.name} for coschedule requirement of {strictest + 1}"
    return [f"{requirement}: `{owner}` allows {strictest} others, it has {others}"]


def _check_quota(host: HostView, arrived: Sequence[tuple[Item, str]]) -> list[str]:
    after = total([host.load, *(item.load for item, _ in arrived)])
    return [
        f"{promised} of {most} {what} are promised on {host.name}"
        for what, most, promised in (
            ("vCPUs", host.quota.vcpus, after.vcpus),
            ("MiB of memory", host.quota.memory_mib, after.memory_mib),
            ("VMs", host.quota.vms, after.vms),
        )
        if 0 <= most < promised
    ]
