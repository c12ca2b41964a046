"""How long the planner takes, beside a naive heap in the same run.

    python benchmarks/schedule.py                                      a table of several sizes
    python benchmarks/schedule.py --vms 100000 --hosts 10000 --shape mix --json

Measured is the way from the queue's entries to the complete placement by name (VM → host), everything that the
planner needs included. The yardstick beside it goes the same way with a heap of hosts and one push for each VM; it
takes no notice of constraints, so for the shapes `mix` and `pinned` it does less than is asked. Where a demand has
no constraints, both placements are compared. Runs of the two alternate, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from time import perf_counter

import msgspec

from shoal.core.load import Capacity, Load
from shoal.core.ranges import natural_key
from shoal_orchestrator.core.placement import HostView, Item
from shoal_orchestrator.core.scheduler import place

SHAPES = ("group", "singles", "mix", "pinned")
#: what stands in the table: VMs, hosts
SIZES = (
    (10_000, 1_000),
    (50_000, 10_000),
    (100_000, 5_000),
    (100_000, 10_000),
    (200_000, 10_000),
    (100_000, 20_000),
)


class Row(msgspec.Struct, kw_only=True):
    """What was measured: medians and best of `repeat` runs in milliseconds, and the process's peak so far in MiB."""

    shape: str
    vms: int
    hosts: int
    repeat: int
    median_ms: float
    best_ms: float
    naive_median_ms: float
    naive_best_ms: float
    times_as_fast: float
    peak_mib: int


def views(count: int) -> list[HostView]:
    """Hosts with a little uneven load, as found in use."""
    return [
        HostView(
            name=f"host{n}",
            capacity=Capacity(cpus=64, memory_mib=262_144),
            load=Load(vcpus=n * 7919 % 5, memory_mib=n * 7919 % 5 * 2048, vms=n * 7919 % 5),
        )
        for n in range(count)
    ]


def demand(shape: str, vms: int, hosts: int) -> list[Item]:
    """The queue's entries."""
    if shape == "group":
        return [Item(names=tuple(f"vm-{n}" for n in range(vms)))]
    if shape == "singles":
        return [Item(names=(f"vm-{n}",)) for n in range(vms)]
    if shape == "pinned":
        return [Item(names=(f"vm-{n}",), schedule=f"host{n % hosts}") for n in range(vms)]
    items = [mixed(n, vms, hosts) for n in range(vms)]
    return items + [Item(names=(f"solo-{n}",), coschedule=0) for n in range(hosts // 20)]


def mixed(n: int, vms: int, hosts: int) -> Item:
    """The n-th entry of a mix: of 100, 5 are pinned, 5 limited, 4 leaders with 4 followers each, 70 plain."""
    block, at = divmod(n, 100)
    names = (f"vm-{n}",)
    if at < 5:
        # never on more than half of the hosts: VMs that want to be alone need some
        return Item(names=names, schedule=f"host{(block * 5 + at) % (hosts // 2) * 2}")
    if at < 10:
        return Item(names=names, coschedule=(at - 3) * (vms // hosts + 5))
    if 14 <= at < 30:
        return Item(names=names, colocate=f"vm-{block * 100 + 10 + (at - 14) // 4}")
    return Item(names=names)


def planned(items: Sequence[Item], hosts: Sequence[HostView]) -> dict[str, str]:
    """The planner's way."""
    return place(items, hosts).of(items)


def naive(items: Sequence[Item], hosts: Sequence[HostView]) -> dict[str, str]:
    """The yardstick: each VM to the host on top of a heap, without any constraint."""
    ordered = sorted(hosts, key=lambda host: natural_key(host.name))
    heap = [(host.load.vcpus, host.load.vms, number) for number, host in enumerate(ordered)]
    heapify(heap)
    found: dict[str, str] = {}
    for item in items:
        for name in item.names:
            vcpus, vms, number = heap[0]
            found[name] = ordered[number].name
            heapreplace(heap, (vcpus + item.vcpus, vms + 1, number))
    return found


def timed(
    way: Callable[[Sequence[Item], Sequence[HostView]], object], items: list[Item], hosts: list[HostView]
) -> float:
    """One run, in milliseconds."""
    gc.collect()
    start = perf_counter()
    way(items, hosts)
    return (perf_counter() - start) * 1000


def measure(shape: str, vms: int, hosts: int, repeat: int) -> Row:
    """Measure one shape at one size."""
    items, hosts_seen = demand(shape, vms, hosts), views(hosts)
    if shape in ("group", "singles") and planned(items, hosts_seen) != naive(items, hosts_seen):
        raise SystemExit(f"schedule: the placement of {shape} is not the naive one")
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeat):
        ours.append(timed(planned, items, hosts_seen))
        theirs.append(timed(naive, items, hosts_seen))
    return Row(
        shape=shape,
        vms=vms,
        hosts=hosts,
        repeat=repeat,
        median_ms=round(statistics.median(ours), 1),
        best_ms=round(min(ours), 1),
        naive_median_ms=round(statistics.median(theirs), 1),
        naive_best_ms=round(min(theirs), 1),
        times_as_fast=round(statistics.median(theirs) / statistics.median(ours), 1),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


def main() -> None:
    """Measure what the arguments ask for, and print it."""
    parser = argparse.ArgumentParser(description="Measure the planner beside a naive heap.")
    parser.add_argument("--vms", type=int, help="how many VMs (default: several sizes)")
    parser.add_argument("--hosts", type=int, help="how many hosts (default: a tenth of the VMs)")
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default 5)")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    options = parser.parse_args()
    sizes = SIZES if options.vms is None else ((options.vms, options.hosts or max(1, options.vms // 10)),)
    shapes = SHAPES if options.shape == "all" else (options.shape,)
    if not options.json:
        print(
            "| shape   |     VMs |  hosts | median ms | best ms | naive heap: median | best | times as fast |"
        )
        print(
            "|---------|--------:|-------:|----------:|--------:|-------------------:|-----:|--------------:|"
        )
    row = None
    for vms, hosts in sizes:
        for shape in shapes:
            row = measure(shape, vms, hosts, options.repeat)
            if options.json:
                print(msgspec.json.encode(row).decode(), flush=True)
            else:
                print(
                    f"| {row.shape:7} | {vms:7,} | {hosts:6,} | {row.median_ms:9.1f} | {row.best_ms:7.1f} "
                    f"| {row.naive_median_ms:18.1f} | {row.naive_best_ms:4.0f} | {row.times_as_fast:13.1f} |",
                    flush=True,
                )
    if row and not options.json:
        print(f"\npeak memory: {row.peak_mib} MiB; Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
