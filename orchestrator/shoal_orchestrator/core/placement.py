"""What the planner is given and what it gives back: hosts, demand, residents, placement. All frozen.

This module refuses to know how a placement is found, and where queue and inventory are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from shoal.core.load import Capacity, Load

#: VM name → host, of the namespace's VMs that are there already: what a queued VM may be colocated with
Residents = Mapping[str, str]


class CoscheduleLimit(msgspec.Struct, frozen=True):
    """A VM that allows at most so many others on its host."""

    vm: str
    others: int


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """The most that may be promised on a host; -1 is no limit."""

    vcpus: int = -1
    memory_mib: int = -1
    vms: int = -1


class HostView(msgspec.Struct, frozen=True, kw_only=True):
    """A host of the namespace as the planner sees it.

    `load` is everything that is promised there: all namespaces, launches in flight, foreign domains. `limits` are
    the coschedule limits of the VMs that are there. A host that is not `accepting` gets nothing new; `reason`
    tells why.
    """

    name: str
    capacity: Capacity
    load: Load = Load()
    limits: tuple[CoscheduleLimit, ...] = ()
    quota: Quota = Quota()
    accepting: bool = True
    reason: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A group of equal VMs to be placed: an entry of the queue.

    `names` is empty for VMs that get their names when they are launched; `count` says how many they are.
    `schedule` is a host's name (never `localhost`), `coschedule` how many other VMs its host may have (-1: any
    number), `colocate` a VM in the demand or among the residents.
    """

    names: tuple[str, ...] = ()
    count: int = 0
    vcpus: int = 1
    memory_mib: int = 2048
    nics: int = 0
    schedule: str = ""
    coschedule: int = -1
    colocate: str = ""

    @property
    def size(self) -> int:
        """How many VMs these are."""
        return len(self.names) or self.count

    @property
    def load(self) -> Load:
        """What one of these VMs is promised."""
        return Load(vcpus=self.vcpus, memory_mib=self.memory_mib, nics=self.nics, vms=1)

    def name(self, index: int) -> str:
        """The name of the index-th VM; empty if it has none yet."""
        return self.names[index] if self.names else ""


class Placement(msgspec.Struct, frozen=True):
    """Where everything goes: `hosts[i][j]` is the host of the j-th VM of the i-th item."""

    hosts: tuple[tuple[str, ...], ...] = ()

    def by_host(self, items: Sequence[Item]) -> dict[str, list[str]]:
        """Return the names placed on each host, in the order of the items; VMs without names are left out."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for item, hosts in zip(items, self.hosts, strict=True):
            for name, host in zip(item.names, hosts, strict=False):
                found[host].append(name)
        return dict(found)

    def of(self, items: Sequence[Item]) -> dict[str, str]:
        """Return the host of each VM that has a name."""
        return {
            name: host
            for item, hosts in zip(items, self.hosts, strict=True)
            for name, host in zip(item.names, hosts, strict=False)
        }
