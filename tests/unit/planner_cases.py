"""Hosts, VMs and outcomes of the planner, as its tests spell them."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.core.load import Capacity
from shoal.core.ranges import expand, fold
from shoal.errors import Refused
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.placement import HostView, Item
from shoal_orchestrator.core.scheduler import place


def hosts(names: str, **changes: Any) -> list[HostView]:
    """Equal hosts of 4 CPUs and 8 GiB, but for `changes`."""
    return [
        HostView(name=name, **{"capacity": Capacity(cpus=4, memory_mib=8192), **changes})
        for name in expand(names)
    ]


def vms(names: str, **changes: Any) -> Item:
    """One item of the queue."""
    return Item(names=tuple(expand(names)), **changes)


def planned(items: list[Item], views: list[HostView], **arguments: Any) -> dict[str, str]:
    """The folded names on each host; the placement has passed the checker."""
    placement = place(items, views, **arguments)
    checked = {key: arguments[key] for key in ("residents", "limit") if key in arguments}
    assert check(placement, items, views, **checked) == []
    return {host: fold(names) for host, names in placement.by_host(items).items()}


def refusal(items: list[Item], views: list[HostView], **arguments: Any) -> Refused:
    """The error of a demand that is refused."""
    with pytest.raises(Refused) as caught:
        place(items, views, **arguments)
    return caught.value
