"""May VMs that have ended be launched again on their hosts: limits, quotas and hosts are asked as for new ones.

This module refuses to know states and powers of VMs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.check import check_ground
from shoal_orchestrator.core.demand import item_of_vm
from shoal_orchestrator.core.model import PRESENT, add_loads
from shoal_orchestrator.core.placement import HostView, NamespaceLimit, Placement, Residents, after


def restart_problems(
    records: Iterable[LaunchRecord],
    views: Mapping[str, HostView],
    residents: Residents,
    limit: NamespaceLimit | None,
) -> dict[str, str]:
    """Why VMs cannot be launched again where they were, by instance; one after the other, in their order.

    `views` has every host of `records`; each VM that may come back counts for those after it.
    """
    now = dict(views)
    there = dict(residents)
    problems: dict[str, str] = {}
    for record in records:
        view = now[record.host]
        if not view.accepting:
            problems[record.instance] = view.reason
            continue
        if record.power in PRESENT:
            # It failed or ended by itself: its share of the host is still promised to it.
            continue
        # Its own `schedule` has been obeyed or overridden already, and a restart does not move it.
        item = replace(item_of_vm(record, ""), schedule="")
        placement = Placement(((record.host,),))
        found = check_ground(placement, [item], [view], there, limit=limit)
        if found:
            problems[record.instance] = found[0]
            continue
        now[record.host] = after([view], [item], placement)[0]
        there[record.name] = record.host
        if limit is not None:
            limit = replace(limit, used=add_loads(limit.used, item.load))
    return problems
