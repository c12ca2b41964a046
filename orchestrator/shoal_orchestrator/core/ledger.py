"""The hosts while a plan is made: what is promised on each so far, what it still takes, which is least loaded.

This module refuses to know queue and colocation: it is asked for hosts for equal units.

A coschedule limit of N others means at most N + 1 VMs on the host; the strictest one is the host's `cap`. Loads
only grow and caps only shrink while a plan is made, so a host that is too full for a unit stays so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from heapq import heapify, heappop, heappush, heapreplace
from operator import add, attrgetter

from shoal.core.load import Load, Policy, weight
from shoal.core.ranges import natural_order
from shoal_orchestrator.core.levels import Label, pour
from shoal_orchestrator.core.placement import UNLIMITED, HostView

#: more than a host can have: no cap, no quota
UNCAPPED = 1 << 60
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
        self.open = [number for number, host in enumerate(self.hosts) if host.accepting]
        self.cap = [UNCAPPED] * len(self.hosts)
        #: whose limit the cap is: a resident's name, or the number of a batch of the plan
        self.owner: list[str | int] = [""] * len(self.hosts)
        quotas = [host.quota for host in self.hosts]
        #: some host has a quota: vCPUs and memory are kept up to date only then
        self.limited = quotas.count(UNLIMITED) < len(quotas)
        self.vcpus = [load.vcpus for load in loads]
        self.memory_mib = [load.memory_mib for load in loads]
        none = [UNCAPPED] * len(quotas)
        self._most_vcpus = _mosts([quota.vcpus for quota in quotas]) if self.limited else none
        self._most_memory = _mosts([quota.memory_mib for quota in quotas]) if self.limited else none
        self._most_vms = _mosts([quota.vms for quota in quotas]) if self.limited else none
        #: nothing anywhere stands in the way of a unit without a limit
        self.free = not self.limited and len(self.open) == len(self.hosts)
        limits = [host.limits for host in self.hosts]
        for number, of_host in enumerate(limits) if any(limits) else ():
            for limit in of_host:
                self.lower_cap(number, limit.others, limit.vm)
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

    # ---- what fits

    def lower_cap(self, number: int, others: int, owner: str | int) -> None:
        """Note that a VM on the host allows at most `others` more."""
        if 0 <= others < self.cap[number] - 1:
            self.cap[number] = others + 1
            self.owner[number] = owner
            self.free = False

    def room(self, number: int, load: Load, limit: int) -> int:
        """Return how many equal units of `load.vms` VMs fit on the host now."""
        if not self.hosts[number].accepting:
            return 0
        most = min(self.cap[number], self._most_vms[number])
        if 0 <= limit < most:
            most = limit + 1
        room = (most - self.vms[number]) // load.vms
        if self.limited:
            if load.vcpus:
                room = min(room, (self._most_vcpus[number] - self.vcpus[number]) // load.vcpus)
            if load.memory_mib:
                room = min(room, (self._most_memory[number] - self.memory_mib[number]) // load.memory_mib)
        return max(0, room)

    def _rooms(self, load: Load, limit: int) -> list[int]:
        """`room` of all hosts, by number; whether they accept VMs is left aside, and too full is 0 or less."""
        most, size = UNCAPPED if limit < 0 else limit + 1, load.vms
        rooms = [
            ((cap if cap < most else most) - vms) // size  # noqa: FURB136  # min() takes three times as long
            for cap, vms in zip(self.cap, self.vms, strict=True)
        ]
        if not self.limited:
            return rooms
        for mosts, promised, more in (
            (self._most_vms, self.vms, load.vms),
            (self._most_vcpus, self.vcpus, load.vcpus),
            (self._most_memory, self.memory_mib, load.memory_mib),
        ):
            if more:
                rooms = [
                    room if room * more <= quota - now else (quota - now) // more
                    for room, quota, now in zip(rooms, mosts, promised, strict=True)
                ]
        return rooms

    def likeness(self, number: int) -> object:
        """Return what makes hosts alike to units: two with the same take the same from now on."""
        return (
            self.vms[number],
            self.cap[number],
            self._most_vms[number],
            *(
                (
                    self._most_vcpus[number] - self.vcpus[number],
                    self._most_memory[number] - self.memory_mib[number],
                )
                if self.limited
                else ()
            ),
        )

    def over_quota(self, number: int, load: Load) -> str:
        """Return which quota of the host a unit would exceed, in words; empty if none."""
        for what, quota, now, more in (
            ("vCPUs", self._most_vcpus, self.vcpus, load.vcpus),
            ("MiB of memory", self._most_memory, self.memory_mib, load.memory_mib),
            ("VMs", self._most_vms, self.vms, load.vms),
        ):
            if more and quota[number] < now[number] + more:
                return f"{now[number]} of {quota[number]} {what} are promised, {more} more are wanted"
        return ""

    # ---- the order of hosts

    def key(self, number: int) -> int:
        """Return what hosts are ordered by, in one integer: rank, then VMs, then number."""
        rank = self.committed[number]
        if self._divisors is not None:
            # quotients differ by more than 2**-52 while divisors stay below 2**26: none is lost, none made up
            rank = (rank << 60) // self._divisors[number]
        elif self._offsets is not None:
            rank += self._offsets[number]
        return (rank << self._rank_shift) + (self.vms[number] << self._vms_shift) + number

    def number(self, key: int) -> int:
        """Return the number of the host that a key is of."""
        return key & self._mask

    def keys(self) -> list[int]:
        """Return the keys of all hosts. All at once: `key` would take three times as long."""
        if self._divisors is not None:
            return list(map(self.key, range(len(self.hosts))))
        rank_shift, vms_shift = self._rank_shift, self._vms_shift
        ranks = self.committed
        if self._offsets is not None:
            ranks = list(map(add, ranks, self._offsets))
        return [
            (rank << rank_shift) + (vms << vms_shift) + number
            for number, (rank, vms) in enumerate(zip(ranks, self.vms, strict=True))
        ]

    # ---- promises

    def add(self, number: int, count: int, load: Load, limit: int, owner: int) -> None:
        """Promise `count` equal units on the host."""
        self.vms[number] += count * load.vms
        self.committed[number] += count * weight(self.policy, load)
        self._heap = None
        if self.limited:
            self.vcpus[number] += count * load.vcpus
            self.memory_mib[number] += count * load.memory_mib
        if limit >= 0:
            self.lower_cap(number, limit, owner)

    def add_many(
        self, shares: Sequence[tuple[Sequence[int], int]], load: Load, limit: int, owner: int
    ) -> None:
        """Promise equal units on many hosts: (their numbers, units on each); a host may stand there twice."""
        self._heap = None
        columns = [(self.vms, load.vms), (self.committed, weight(self.policy, load))]
        if self.limited:
            columns += [(self.vcpus, load.vcpus), (self.memory_mib, load.memory_mib)]
        for numbers, many in shares:
            for column, each in columns:
                more = each * many
                for number in numbers if more else ():
                    column[number] += more
            for number in numbers if many and limit >= 0 else ():
                self.lower_cap(number, limit, owner)

    def add_counted(self, numbers: Iterable[int], load: Load, limit: int, owner: int) -> None:
        """Promise an equal unit on each of some hosts, which may stand there many times."""
        by_count: defaultdict[int, list[int]] = defaultdict(list)
        for number, many in Counter(numbers).items():
            by_count[many].append(number)
        self.add_many([(some, many) for many, some in by_count.items()], load, limit, owner)

    def fill(self, number: int, count: int, load: Load, limit: int, owner: int) -> int:
        """Promise as many of `count` equal units on one host as fit there; return how many."""
        many = count if self.free and limit < 0 else min(count, self.room(number, load, limit))
        if many:
            self.add(number, many, load, limit, owner)
        return many

    def take(self, count: int, load: Load, limit: int, owner: int, labels: Sequence[Label]) -> list[Label]:
        """Place `count` equal units of `load.vms` VMs, each on the least loaded host that it fits on.

        `owner` is the number of their batch. Returns for each its host's label (`labels`, by the number of the
        host), in order; fewer if at some point none fits.
        """
        if self._divisors is None and count >= len(self.open) * _POUR:
            return self._take_at_once(count, load, limit, owner, labels)
        taken = self._take_one_by_one(count, load, limit, owner)
        return [labels[number] for number in taken]

    def _take_at_once(
        self, count: int, load: Load, limit: int, owner: int, labels: Sequence[Label]
    ) -> list[Label]:
        """As water is poured: only where each unit adds the same to a key."""
        keys = self.keys()
        rooms: dict[int, int] = {}
        if not self.free or limit >= 0:
            room = self._rooms(load, limit)
            keys = [keys[number] for number in self.open if room[number] > 0]
            if min(room) < count:
                rooms = {number: some for number, some in enumerate(room) if some < count}
        taken, shares = pour(keys, self._step(load), count, self._mask, rooms, labels)
        self.add_many(shares, load, limit, owner)
        return taken

    def _take_one_by_one(self, count: int, load: Load, limit: int, owner: int) -> list[int]:
        """From a heap of hosts, which is kept for the batches that follow."""
        heap = self._heap
        if heap is None:
            keys = self.keys()
            heap = keys if len(self.open) == len(keys) else [keys[number] for number in self.open]
            heapify(heap)
        taken: list[int] = []
        rooms: dict[int, int] = {}
        aside: list[int] = []
        step = self._step(load) if self._divisors is None else 0
        steps = self._relative_steps(load)
        while heap and len(taken) < count:
            key = heap[0]
            number = key & self._mask
            room = rooms[number] if number in rooms else self.room(number, load, limit)
            if not room:
                aside.append(heappop(heap))
                continue
            rooms[number] = room - 1
            taken.append(number)
            heapreplace(heap, key + step if step else steps(number))
        self.add_counted(taken, load, limit, owner)
        for key in aside:
            # a host that is full stays so
            if self.vms[key & self._mask] < self.cap[key & self._mask]:
                heappush(heap, key)
        self._heap = heap
        return taken

    def _relative_steps(self, load: Load) -> Callable[[int], int]:
        """Return what tells a host's next key, each time that a unit is placed on it; for relative ranks."""
        divisors = self._divisors or ()
        more, size, rank_shift, vms_shift = (
            weight(self.policy, load),
            load.vms,
            self._rank_shift,
            self._vms_shift,
        )
        now: dict[int, tuple[int, int]] = {}

        def following(number: int) -> int:
            committed, vms = now.get(number) or (self.committed[number], self.vms[number])
            committed, vms = now[number] = (committed + more, vms + size)
            return ((committed << 60) // divisors[number] << rank_shift) + (vms << vms_shift) + number

        return following

    def _step(self, load: Load) -> int:
        """How much a unit adds to the key of its host; more than 0. Unless ranks are relative."""
        return (weight(self.policy, load) << self._rank_shift) + (load.vms << self._vms_shift)


def _mosts(quotas: Sequence[int]) -> list[int]:
    return [quota if quota >= 0 else UNCAPPED for quota in quotas]
