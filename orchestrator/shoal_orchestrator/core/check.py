"""Does a placement keep every promise? The planner's independent judge.

This module refuses to know how placements are made, and shares no code with the planner: it goes from host to host
and from VM to VM and reads the rules of DESIGN.md section 4 again.

`check` judges everything; every plan in every test passes it, and so does every edit. `check_ground` is what is
left to judge when a plan that was right is applied later: the demand is the same, but hosts, residents and their
loads may have changed. It looks at hosts rather than VMs and takes a fraction of the time of making the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from shoal_orchestrator.core.placement import HostView, Item, NamespaceLimit, Placement, Residents


def check(
    placement: Placement,
    items: Sequence[Item],
    hosts: Sequence[HostView],
    residents: Residents | None = None,
    *,
    moved: Collection[str] = (),
    limit: NamespaceLimit | None = None,
) -> list[str]:
    """Return what is wrong with a placement, in words; nothing if all is well.

    `moved` are VMs that were put elsewhere by hand, which overrides their own `schedule`. VMs that are left over
    (host "") are passed over, but what is colocated with them must be left over too.
    """
    if not _of_one_size(placement, items):
        return ["the placement is not one of these VMs: their numbers differ"]
    names = list(chain.from_iterable([item.names for item in items]))
    found = ["a VM is placed twice"] if len(set(names)) != len(names) else []
    found += _check_schedule(placement, items, frozenset(moved))
    return found + check_ground(placement, items, hosts, residents, limit=limit)


def check_ground(
    placement: Placement,
    items: Sequence[Item],
    hosts: Sequence[HostView],
    residents: Residents | None = None,
    *,
    limit: NamespaceLimit | None = None,
) -> list[str]:
    """Return what is wrong with a placement on these hosts, in words, provided that it was right on others.

    Hosts that are gone or take no VMs, residents with which VMs are colocated, limits and quotas of the hosts, and
    the namespace's own.
    """
    views = {host.name: host for host in hosts}
    arrivals = Counter(chain.from_iterable(placement.hosts))
    arrivals.pop("", None)
    found = _check_hosts(arrivals, views)
    found += _check_colocate(placement, items, residents or {})
    found += _check_coschedule(placement, items, arrivals, views)
    found += _check_quota(placement, items, arrivals, views)
    return found + (_check_namespace(placement, items, limit) if limit else [])


def _of_one_size(placement: Placement, items: Sequence[Item]) -> bool:
    return len(placement.hosts) == len(items) and all(
        len(chosen) == (len(item.names) or item.count)
        for item, chosen in zip(items, placement.hosts, strict=True)
    )


def _check_hosts(arrivals: Mapping[str, int], views: Mapping[str, HostView]) -> list[str]:
    found: list[str] = []
    for name in sorted(arrivals):
        view = views.get(name)
        if view is None:
            found.append(f"`{name}` is not in the namespace")
        elif not view.accepting:
            found.append(f"`{name}` takes no new VMs: {view.reason or 'no reason was given'}")
    return found


def _check_schedule(placement: Placement, items: Sequence[Item], moved: frozenset[str]) -> list[str]:
    return [
        f"`{item.name(index)}` is on `{host}`, its schedule says `{item.schedule}`"
        for item, chosen in zip(items, placement.hosts, strict=True)
        if item.schedule
        for index, host in enumerate(chosen)
        if host not in (item.schedule, "") and item.name(index) not in moved
    ]


def _check_colocate(placement: Placement, items: Sequence[Item], residents: Residents) -> list[str]:
    targets = {item.colocate for item in items if item.colocate}
    if not targets:
        return []
    wanted: dict[str, str] = {name: residents[name] for name in targets if name in residents}
    for item, chosen in zip(items, placement.hosts, strict=True):
        if not targets.isdisjoint(item.names):
            wanted.update(
                (name, host) for name, host in zip(item.names, chosen, strict=True) if name in targets
            )
    queued = frozenset(chain.from_iterable([item.names for item in items]))
    found: list[str] = []
    for item, chosen in zip(items, placement.hosts, strict=True):
        leader = item.colocate
        if not leader or not any(chosen):
            # what is left over altogether is told elsewhere
            found += _check_left(item, chosen, wanted) if leader in queued else []
            continue
        if leader not in wanted or leader in item.names:
            found.append(f"nonexistent colocate VMs: [{leader}]")
            continue
        found += [
            f"`{item.name(index)}` is on `{host}`, `{leader}`, with which it is colocated, on `{wanted[leader]}`"
            for index, host in enumerate(chosen)
            if host != wanted[leader]
        ]
    return found


def _check_left(item: Item, chosen: Sequence[str], wanted: Mapping[str, str]) -> list[str]:
    if not chosen or not wanted.get(item.colocate):
        return []
    return [f"`{item.name(0)}` is left over, `{item.colocate}`, with which it is colocated, is not"]


def _check_coschedule(
    placement: Placement, items: Sequence[Item], arrivals: Mapping[str, int], views: Mapping[str, HostView]
) -> list[str]:
    #: host → the strictest limit there, and whose it is; of several, the first by name
    strictest: dict[str, tuple[int, str]] = {
        name: min((limit.others, limit.vm) for limit in views[name].limits)
        for name in arrivals
        if name in views and views[name].limits
    }
    for item, chosen in zip(items, placement.hosts, strict=True):
        if item.coschedule < 0:
            continue
        for index, host in enumerate(chosen):
            if not host:
                continue
            limit = (item.coschedule, item.name(index))
            if host not in strictest or limit < strictest[host]:
                strictest[host] = limit
    found: list[str] = []
    for host, (most, owner) in sorted(strictest.items()):
        if host not in views:
            continue
        others = views[host].load.vms + arrivals[host] - 1
        if others > most:
            requirement = f"too many VMs scheduled on {host} for coschedule requirement of {most + 1}"
            found.append(f"{requirement}: `{owner}` allows {most} others, it has {others}")
    return found


def _check_quota(
    placement: Placement, items: Sequence[Item], arrivals: Mapping[str, int], views: Mapping[str, HostView]
) -> list[str]:
    quotas = {name: views[name].quota for name in arrivals if name in views}
    limited = {name for name, quota in quotas.items() if max(quota.vcpus, quota.memory_mib, quota.vms) >= 0}
    if not limited:
        return []
    vcpus = {name: views[name].load.vcpus for name in limited}
    memory_mib = {name: views[name].load.memory_mib for name in limited}
    for item, chosen in zip(items, placement.hosts, strict=True):
        for host in chosen:
            if host in limited:
                vcpus[host] += item.vcpus
                memory_mib[host] += item.memory_mib
    return [
        f"{promised} of {most} {what} are promised on {host}"
        for host in sorted(limited)
        for what, most, before, promised in (
            ("vCPUs", quotas[host].vcpus, views[host].load.vcpus, vcpus[host]),
            ("MiB of memory", quotas[host].memory_mib, views[host].load.memory_mib, memory_mib[host]),
            ("VMs", quotas[host].vms, views[host].load.vms, views[host].load.vms + arrivals[host]),
        )
        # what was too much before and did not grow is nobody's fault here
        if 0 <= most < promised and promised > before
    ]


def _check_namespace(placement: Placement, items: Sequence[Item], limit: NamespaceLimit) -> list[str]:
    vcpus = memory_mib = vms = 0
    for item, chosen in zip(items, placement.hosts, strict=True):
        many = len(chosen) - chosen.count("")
        vcpus += many * item.vcpus
        memory_mib += many * item.memory_mib
        vms += many
    return [
        f"{used + more} of {most} {what} of namespace {limit.namespace} are promised"
        for what, most, used, more in (
            ("vCPUs", limit.quota.vcpus, limit.used.vcpus, vcpus),
            ("MiB of memory", limit.quota.memory_mib, limit.used.memory_mib, memory_mib),
            ("VMs", limit.quota.vms, limit.used.vms, vms),
        )
        if more and 0 <= most < used + more
    ]
