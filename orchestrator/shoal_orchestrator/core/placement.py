"""What the planner is given and what it gives back: hosts, limits, demand, residents, placement. All frozen.

This module refuses to know how a placement is found, and where queue and inventory are kept.

None of these can be part of a reference cycle, so the garbage collector is told to leave them alone (`gc=False`):
a queue of 100,000 entries is not looked through again and again while a plan is made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from shoal.core.load import Capacity, Load, Quota, total

#: VM name → host, of the namespace's VMs that are there already: what a queued VM may be colocated with
Residents = Mapping[str, str]


class CoscheduleLimit(msgspec.Struct, frozen=True, gc=False):
    """A VM that allows at most so many others on its host."""

    vm: str
    others: int


#: no limit at all
UNLIMITED = Quota()


class NamespaceLimit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a namespace's VMs may be promised together (`ns limit`), and what they are promised now.

    `used` counts the namespace's own VMs on all hosts, launches in flight included, the queue not.
    """

    namespace: str = ""
    quota: Quota = UNLIMITED
    used: Load = Load()


class HostView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A host of the namespace as the planner sees it.

    `load` is everything that is promised there: all namespaces, launches in flight, foreign domains. `limits` are
    the coschedule limits of the VMs that are there, `quota` is the host's own. A host that is not `accepting` gets
    nothing new; `reason` tells why.
    """

    name: str
    capacity: Capacity
    load: Load = Load()
    limits: tuple[CoscheduleLimit, ...] = ()
    quota: Quota = UNLIMITED
    accepting: bool = True
    reason: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class Placement(msgspec.Struct, frozen=True, gc=False):
    """Where everything goes: `hosts[i][j]` is the host of the j-th VM of the i-th item; "" if it is left over."""

    hosts: tuple[tuple[str, ...], ...] = ()

    def by_host(self, items: Sequence[Item]) -> dict[str, list[str]]:
        """Return the names placed on each host, in the order of the items; VMs without names are left out."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for item, hosts in zip(items, self.hosts, strict=True):
            for name, host in zip(item.names, hosts, strict=False):
                found[host].append(name)
        found.pop("", None)
        return dict(found)

    def of(self, items: Sequence[Item]) -> dict[str, str]:
        """Return the host of each VM that has a name; "" for those that are left over."""
        names = [item.names for item in items]
        if sum(map(len, names)) == len(names) and () not in names:
            # one VM in each: half the time
            return {name: host for (name,), (host,) in zip(names, self.hosts, strict=True)}
        found: dict[str, str] = {}
        for some, hosts in zip(names, self.hosts, strict=True):
            # VMs without names are passed over: there are more hosts then
            found.update(zip(some, hosts, strict=False))
        return found

    def left(self) -> list[tuple[int, ...]]:
        """Return for each item which of its VMs are left over."""
        return [
            tuple(index for index, host in enumerate(chosen) if not host) if "" in chosen else ()
            for chosen in self.hosts
        ]


def after(hosts: Sequence[HostView], items: Sequence[Item], placement: Placement) -> list[HostView]:
    """Return the hosts as they will be once a placement is carried out: with its VMs' loads and limits on them."""
    arrived: defaultdict[str, list[Load]] = defaultdict(list)
    limits: defaultdict[str, list[CoscheduleLimit]] = defaultdict(list)
    for item, chosen in zip(items, placement.hosts, strict=True):
        load = item.load
        for index, host in enumerate(chosen):
            arrived[host].append(load)
            if item.coschedule >= 0:
                limits[host].append(CoscheduleLimit(item.name(index), item.coschedule))
    return [
        replace(
            host,
            load=total([host.load, *arrived[host.name]]),
            limits=(*host.limits, *limits.get(host.name, ())),
        )
        if host.name in arrived
        else host
        for host in hosts
    ]
