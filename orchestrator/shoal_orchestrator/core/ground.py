"""What a plan stands on: the load of its hosts when it was made, and what has changed there since.

This module refuses to know how plans are made, and whether a change matters: `check` judges that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shoal.core.load import Load
from shoal.core.ranges import fold
from shoal_orchestrator.core.model import add_loads
from shoal_orchestrator.core.placement import HostView, Item, Placement
from shoal_orchestrator.core.records import PlanChunk


def ground_of(chunks: Iterable[PlanChunk]) -> dict[str, Load]:
    """The load of each host that a plan uses, as it was when the plan was made."""
    return {
        host: Load(vcpus=vcpus, memory_mib=memory_mib, nics=nics, vms=vms)
        for chunk in chunks
        for host, (vcpus, memory_mib, nics, vms) in chunk.ground.items()
    }


def difference(ground: Mapping[str, Load], views: Iterable[HostView]) -> list[str]:
    """What has changed on the plan's hosts, in words, hosts with the same change together; those that are gone not."""
    changed: defaultdict[str, list[str]] = defaultdict(list)
    for view in views:
        before = ground.get(view.name)
        if before is not None and before != view.load:
            changed[_in_words(add_loads(view.load, before, -1))].append(view.name)
    return [f"{fold(hosts)}: {words} since the dry run" for words, hosts in changed.items()]


def _in_words(change: Load) -> str:
    named = (
        (change.vms, "VMs"),
        (change.vcpus, "vCPUs"),
        (change.memory_mib, "MiB of memory"),
        (change.nics, "interfaces"),
    )
    return ", ".join(f"{number:+d} {what}" for number, what in named if number)


def without_barred(
    placement: Placement, items: Sequence[Item], views: Iterable[HostView]
) -> tuple[Placement, list[str]]:
    """Take the VMs off hosts that are gone or take none, with those that are colocated with them.

    Returns what is left of the placement, and a reason for each host that was given up.
    """
    known = {view.name: view for view in views}
    barred: dict[str, str] = {}
    for host in dict.fromkeys(host for hosts in placement.hosts for host in hosts if host):
        view = known.get(host)
        if view is None:
            barred[host] = f"{host} is not in the namespace any more"
        elif not view.accepting:
            barred[host] = view.reason
    left: defaultdict[str, list[str]] = defaultdict(list)
    chosen = []
    for item, hosts in zip(items, placement.hosts, strict=True):
        # What is colocated stands on one host, so it goes with the host.
        chosen.append(tuple("" if host in barred else host for host in hosts))
        for index, host in enumerate(hosts):
            if host in barred:
                left[host].append(item.name(index) or "VMs without names")
    reasons = [f"{fold(dict.fromkeys(names))}: {barred[host]}" for host, names in left.items()]
    return Placement(tuple(chosen)), reasons
