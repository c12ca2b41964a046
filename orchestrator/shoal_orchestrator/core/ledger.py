"""The hosts while a plan is made: what is promised on each so far, what it still takes, which is least loaded.

This module refuses to know queue and colocation: it is asked for hosts for equal units.

A coschedule limit of N others means at most N + 1 VMs on the host; the strictest one is the host's `cap`. Loads
only grow and caps only shrink while a plan is made, so a host that is too full for a unit stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush, heapreplace
from operator import attrgetter

from shoal.core.load import Load, Policy, weight
from shoal.core.ranges import natural_order
from shoal_orchestrator.core.levels import pour
from shoal_orchestrator.core.placement import HostView, Quota

#: more VMs than a host can have: no cap
UNCAPPED = 1 << 40
NO_QUOTA = Quota()
#: units for each host from which on it is quicker to pour them than to move them through a heap one by one
_POUR = 0.25
#: what a load adds to the rank of its host (`weight`)
_BY_POLICY: Mapping[Policy, Callable[[Load], int]] = {
    "cpucommit": attrgetter("vcpus"),
    "netcommit": attrgetter("nics"),
    "memload": attrgetter("memory_mib"),
}


class Ledger:
    """Mutable, and never seen outside of the planner. Hosts are numbered in natural order of their names."""

    def __init__(self, hosts: Sequence[HostView], policy: Policy, *, relative: bool, room_for: int) -> None:
        self.policy = policy
        self.names = [host.name for host in hosts]
        self.hosts = list(hosts)
        ordered = natural_order(self.names)
        if ordered != self.names:
            views = dict(zip(self.names, hosts, strict=True))
            self.names, self.hosts = ordered, [views[name] for name in ordered]
        loads = [host.load for host in self.hosts]
        self.vms = [load.vms for load in loads]
        self.committed = list(map(_BY_POLICY[policy], loads))
        self.quotas = [host.quota for host in self.hosts]
        #: some host has a quota: vCPUs and memory are kept up to date only then
        self.limited = any(quota != NO_QUOTA for quota in self.quotas if quota is not NO_QUOTA)
        self.vcpus = [load.vcpus for load in loads]
        self.memory_mib = [load.memory_mib for load in loads]
        self.cap = [UNCAPPED] * len(self.hosts)
        #: some host has a cap
        self.capped = False
        #: whose limit the cap is: a resident's name, or the number of a batch of the plan
        self.owner: list[str | int] = [""] * len(self.hosts)
        for number, limits in enumerate([host.limits for host in self.hosts]):
            for limit in limits:
                self.lower_cap(number, limit.others, limit.vm)
        self.open = [number for number, host in enumerate(self.hosts) if host.accepting]
        self._divisors = self._find_divisors(relative=relative)
        self._offsets = [-host.capacity.memory_mib for host in self.hosts] if policy == "memload" else None
        # keys are single integers, (rank, VMs, number of the host), for speed: fields must not run over
        self._vms_shift = len(self.hosts).bit_length()
        self._rank_shift = self._vms_shift + (max(self.vms, default=0) + room_for + 1).bit_length()
        self._mask = (1 << self._vms_shift) - 1
        self._heap: list[int] | None = None

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each host, by its name."""
        return {name: number for number, name in enumerate(self.names)}

    def _find_divisors(self, *, relative: bool) -> list[int] | None:
        if not relative or self.policy == "netcommit":
            return None
        if self.policy == "cpucommit":
            return [max(1, host.capacity.cpus) for host in self.hosts]
        return [max(1, host.capacity.memory_mib) for host in self.hosts]

    def lower_cap(self, number: int, others: int, owner: str | int) -> None:
        """Note that a VM on the host allows at most `others` more."""
        if 0 <= others < self.cap[number] - 1:
            self.cap[number] = others + 1
            self.owner[number] = owner
            self.capped = True

    def fits(self, number: int, load: Load, limit: int) -> bool:
        """Tell whether a unit of `load.vms` VMs fits on the host now."""
        return self.room(number, load, limit) > 0

    def room(self, number: int, load: Load, limit: int) -> int:
        """Return how many equal units of `load.vms` VMs fit on the host now."""
        most = self.cap[number]
        if 0 <= limit < most:
            most = limit + 1
        room = (most - self.vms[number]) // load.vms
        if room <= 0 or not self.hosts[number].accepting:
            return 0
        if self.limited:
            for _, quota, now, more in self._promises(number, load):
                if quota >= 0:
                    room = min(room, (quota - now) // more if more else UNCAPPED if now <= quota else 0)
        return max(0, room)

    def _rooms(self, load: Load, limit: int) -> list[int]:
        """`room` of all hosts that accept VMs, by number; 0 or less where nothing fits."""
        if self.limited:
            return [self.room(number, load, limit) for number in range(len(self.hosts))]
        most, size = UNCAPPED if limit < 0 else limit + 1, load.vms
        return [
            ((cap if cap < most else most) - vms) // size  # noqa: FURB136  # min() takes three times as long
            for cap, vms in zip(self.cap, self.vms, strict=True)
        ]

    def over_quota(self, number: int, load: Load) -> str:
        """Return which quota of the host a unit would exceed, in words; empty if none."""
        for what, quota, now, more in self._promises(number, load):
            if 0 <= quota < now + more:
                return f"{now} of {quota} {what} are promised, {more} more are wanted"
        return ""

    def _promises(self, number: int, load: Load) -> Sequence[tuple[str, int, int, int]]:
        quota = self.quotas[number]
        return (
            ("vCPUs", quota.vcpus, self.vcpus[number], load.vcpus),
            ("MiB of memory", quota.memory_mib, self.memory_mib[number], load.memory_mib),
            ("VMs", quota.vms, self.vms[number], load.vms),
        )

    def key(self, number: int) -> int:
        """Return what hosts are ordered by, in one integer: rank, then VMs, then number."""
        return self._keys((number,))[0]

    def number(self, key: int) -> int:
        """Return the number of the host that a key is of."""
        return key & self._mask

    def keys(self) -> list[int]:
        """Return the key of each host."""
        return self._keys(range(len(self.hosts)))

    def _keys(self, numbers: Sequence[int]) -> list[int]:
        rank_shift, vms_shift = self._rank_shift, self._vms_shift
        committed, vms = self.committed, self.vms
        if len(numbers) < len(self.hosts):
            committed = [committed[number] for number in numbers]
            vms = [vms[number] for number in numbers]
        if self._divisors is not None:
            # quotients differ by more than 2**-52 while divisors stay below 2**26: none is lost, none made up
            ranks = [(self.committed[number] << 60) // self._divisors[number] for number in numbers]
        elif self._offsets is not None:
            ranks = [self.committed[number] + self._offsets[number] for number in numbers]
        else:
            ranks = committed
        return [
            (rank << rank_shift) + (many << vms_shift) + number
            for rank, many, number in zip(ranks, vms, numbers, strict=True)
        ]

    def add(self, number: int, count: int, load: Load, limit: int, owner: int) -> None:
        """Promise `count` equal units on the host."""
        self.vms[number] += count * load.vms
        self.committed[number] += count * weight(self.policy, load)
        if self.limited:
            self.vcpus[number] += count * load.vcpus
            self.memory_mib[number] += count * load.memory_mib
        if limit >= 0:
            self.lower_cap(number, limit, owner)
        self._heap = None

    def fill(self, number: int, count: int, load: Load, limit: int, owner: int) -> int:
        """Promise as many of `count` equal units on one host as fit there; return how many."""
        many = min(count, self.room(number, load, limit))
        if many:
            self.add(number, many, load, limit, owner)
        return many

    def take(self, count: int, load: Load, limit: int, owner: int) -> list[int]:
        """Place `count` equal units of `load.vms` VMs, each on the least loaded host that it fits on.

        `owner` is the number of their batch. Returns the host of each, in order; fewer if at some point none fits.
        """
        if self._divisors is None and count >= len(self.open) * _POUR:
            return self._take_at_once(count, load, limit, owner)
        return self._take_one_by_one(count, load, limit, owner)

    def _take_at_once(self, count: int, load: Load, limit: int, owner: int) -> list[int]:
        """As water is poured: only where each unit adds the same to a key."""
        hosts = self.open
        rooms: dict[int, int] = {}
        if self.capped or self.limited or limit >= 0:
            room = self._rooms(load, limit)
            hosts = [number for number in hosts if room[number] > 0]
            rooms = {number: room[number] for number in hosts if room[number] < count}
        taken, reached, amounts = pour(self._keys(hosts), self._step(load), count, self._mask, rooms)
        self._add_many(zip(reached, amounts, strict=True), load, limit, owner)
        return taken

    def _take_one_by_one(self, count: int, load: Load, limit: int, owner: int) -> list[int]:
        """From a heap of hosts, which is kept for the batches that follow."""
        heap = self._heap
        if heap is None:
            heap = self._keys(self.open)
            heapify(heap)
        step = self._step(load) if self._divisors is None else 0
        rooms: dict[int, int] = {}
        aside: list[int] = []
        taken: list[int] = []
        while heap and len(taken) < count:
            key = heap[0]
            number = key & self._mask
            room = rooms[number] if number in rooms else self.room(number, load, limit)
            if not room:
                aside.append(heappop(heap))
                continue
            rooms[number] = room - 1
            taken.append(number)
            if not step:
                self.add(number, 1, load, limit, owner)
            heapreplace(heap, key + step if step else self.key(number))
        if step:
            self._add_many(Counter(taken).items(), load, limit, owner)
        for key in aside:
            # a host that is full stays so
            if self.vms[key & self._mask] < self.cap[key & self._mask]:
                heappush(heap, key)
        self._heap = heap
        return taken

    def _step(self, load: Load) -> int:
        """How much a unit adds to the key of its host; more than 0. Unless ranks are relative."""
        return (weight(self.policy, load) << self._rank_shift) + (load.vms << self._vms_shift)

    def _add_many(self, amounts: Iterable[tuple[int, int]], load: Load, limit: int, owner: int) -> None:
        """`add`, for many hosts: (number, units)."""
        self._heap = None
        if self.limited or limit >= 0:
            for number, many in amounts:
                if many:
                    self.add(number, many, load, limit, owner)
            return
        vms, committed = self.vms, self.committed
        size, heavy = load.vms, weight(self.policy, load)
        for number, many in amounts:
            vms[number] += many * size
            committed[number] += many * heavy
