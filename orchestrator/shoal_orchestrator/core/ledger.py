"""The hosts while a plan is made: what is promised on each so far, what it still takes, which is least loaded.

This module refuses to know queue and colocation: it is asked for hosts for equal units.

A coschedule limit of N others means at most N + 1 VMs on the host; the strictest one is the host's `cap`. Loads
only grow and caps only shrink while a plan is made, so a host that is too full for a unit stays so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace

from shoal.core.load import Load, Policy, weight
from shoal.core.ranges import natural_key
from shoal_orchestrator.core.placement import HostView

#: more VMs than a host can have: no cap
UNCAPPED = 1 << 40


class Ledger:
    """Mutable, and never seen outside of the planner. Hosts are numbered in natural order of their names."""

    def __init__(self, hosts: Sequence[HostView], policy: Policy, *, relative: bool, room_for: int) -> None:
        self.policy = policy
        self.hosts = sorted(hosts, key=lambda host: natural_key(host.name))
        self.names = [host.name for host in self.hosts]
        self.index = {name: number for number, name in enumerate(self.names)}
        self.vms = [host.load.vms for host in self.hosts]
        self.vcpus = [host.load.vcpus for host in self.hosts]
        self.memory_mib = [host.load.memory_mib for host in self.hosts]
        self.cap = [UNCAPPED] * len(self.hosts)
        #: whose limit the cap is: a resident's name, or the number of a batch of the plan
        self.owner: list[str | int] = [""] * len(self.hosts)
        self.quotas = [host.quota for host in self.hosts]
        self.limited = any(
            (quota.vcpus, quota.memory_mib, quota.vms) != (-1, -1, -1) for quota in self.quotas
        )
        self.committed = [weight(policy, host.load) for host in self.hosts]
        self._divisors = self._find_divisors(relative=relative)
        self._offsets = [-host.capacity.memory_mib if policy == "memload" else 0 for host in self.hosts]
        # keys are single integers, (rank, VMs, number of the host), for speed: fields must not run over
        self._vms_shift = len(self.hosts).bit_length()
        self._rank_shift = self._vms_shift + (max(self.vms, default=0) + room_for + 1).bit_length()
        self._mask = (1 << self._vms_shift) - 1
        self._heap: list[int] | None = None
        for number, host in enumerate(self.hosts):
            for limit in host.limits:
                self.lower_cap(number, limit.others, limit.vm)

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

    def fits(self, number: int, size: int, load: Load, limit: int) -> bool:
        """Tell whether a unit fits on the host now."""
        after = self.vms[number] + size
        if after > self.cap[number] or 0 <= limit < after - 1 or not self.hosts[number].accepting:
            return False
        return not self.limited or self.over_quota(number, load) == ""

    def over_quota(self, number: int, load: Load) -> str:
        """Return which quota of the host a unit would exceed, in words; empty if none."""
        quota = self.quotas[number]
        for what, most, now, more in (
            ("vCPUs", quota.vcpus, self.vcpus[number], load.vcpus),
            ("MiB of memory", quota.memory_mib, self.memory_mib[number], load.memory_mib),
            ("VMs", quota.vms, self.vms[number], load.vms),
        ):
            if 0 <= most < now + more:
                return f"{now} of {most} {what} are promised, {more} more are wanted"
        return ""

    def add(self, number: int, load: Load, limit: int, owner: int) -> None:
        """Promise a unit on the host. Only before `take`, which does it by itself."""
        self._add_more(number, 1, load)
        self.lower_cap(number, limit, owner)

    def key(self, number: int) -> int:
        """Return what hosts are ordered by, in one integer: rank, then VMs, then number."""
        rank = self.committed[number] + self._offsets[number]
        if self._divisors is not None:
            # quotients differ by more than 2**-52 while divisors stay below 2**26: none is lost, none made up
            rank = (self.committed[number] << 60) // self._divisors[number]
        return (rank << self._rank_shift) + (self.vms[number] << self._vms_shift) + number

    def room(self, number: int, size: int, limit: int) -> int:
        """Return how many units of so many VMs the limits allow on the host, quotas left aside."""
        most = self.cap[number] if limit < 0 else min(self.cap[number], limit + 1)
        return max(0, most - self.vms[number]) // size if self.hosts[number].accepting else 0

    def fill(self, number: int, count: int, load: Load, limit: int, owner: int) -> int:
        """Promise as many of `count` equal units on one host as fit there; return how many. Only before `take`."""
        many = min(count, self.room(number, load.vms, limit))
        if self.limited:
            added = 0
            while added < many and self.fits(number, load.vms, load, limit):
                self.add(number, load, limit, owner)
                added += 1
            return added
        if many:
            self.add(number, load, limit, owner)
            self._add_more(number, many - 1, load)
        return many

    def _add_more(self, number: int, count: int, load: Load) -> None:
        self.vms[number] += count * load.vms
        self.vcpus[number] += count * load.vcpus
        self.memory_mib[number] += count * load.memory_mib
        self.committed[number] += count * weight(self.policy, load)

    def take(self, count: int, load: Load, limit: int, owner: int) -> list[int]:
        """Place `count` equal units of `load.vms` VMs, each on the least loaded host that it fits on.

        `owner` is the number of their batch. Returns the host of each, in order; fewer if at some point none fits.
        """
        if self._heap is None:
            self._heap = [self.key(number) for number, host in enumerate(self.hosts) if host.accepting]
            heapify(self._heap)
        if self._divisors is None and load.vms == 1 and limit < 0 and not self.limited:
            return self._take_plain(self._heap, count, load)
        return self._take_fitting(self._heap, count, load, limit, owner)

    def _take_fitting(self, heap: list[int], count: int, load: Load, limit: int, owner: int) -> list[int]:
        aside: list[int] = []
        taken: list[int] = []
        while heap and len(taken) < count:
            number = heap[0] & self._mask
            if not self.fits(number, load.vms, load, limit):
                aside.append(heappop(heap))
                continue
            taken.append(number)
            self.add(number, load, limit, owner)
            heapreplace(heap, self.key(number))
        for key in aside:
            # a host that is full stays so
            if self.vms[key & self._mask] < self.cap[key & self._mask]:
                heappush(heap, key)
        return taken

    def _take_plain(self, heap: list[int], count: int, load: Load) -> list[int]:
        """Place single VMs without limits where each adds the same to a key: only caps stand in the way."""
        step = (weight(self.policy, load) << self._rank_shift) + (1 << self._vms_shift)
        full = [key for key in heap if self.vms[key & self._mask] >= self.cap[key & self._mask]]
        if full:
            heap[:] = sorted(set(heap).difference(full))
        if count > len(heap) and all(self.cap[key & self._mask] == UNCAPPED for key in heap):
            taken = self._pour(heap, count, step) if heap else []
        else:
            taken = []
            vms, cap, mask = self.vms, self.cap, self._mask
            room = {key & mask: cap[key & mask] - vms[key & mask] for key in heap}
            while heap and len(taken) < count:
                key = heap[0]
                number = key & mask
                taken.append(number)
                room[number] -= 1
                if room[number]:
                    heapreplace(heap, key + step)
                else:
                    heappop(heap)
        for number, more in Counter(taken).items():
            self._add_more(number, more, load)
        return taken

    def _pour(self, heap: list[int], count: int, step: int) -> list[int]:
        """Place VMs on hosts without caps, all at once: each host offers the keys it would have one VM after the
        other, and the lowest `count` of all offers are taken, in order. (Water-filling.)
        """
        keys = sorted(heap)
        filled, below = 0, 0
        # the hosts that get wet: as long as filling those below up to this one's level does not use up all
        for key in keys:
            if filled and filled * key - below >= count * step:
                break
            filled += 1
            below += key
        # at this level the wet hosts offer at least `count`, and fewer than `filled` too many
        level = -((-count * step - below) // filled)
        offers: list[int] = []
        for key in keys[:filled]:
            offers += range(key, level + 1, step)
        offers.sort()
        taken = [offer & self._mask for offer in offers[:count]]
        more = Counter(taken)
        heap[:] = [key + step * more.get(key & self._mask, 0) for key in keys]
        heapify(heap)
        return taken
