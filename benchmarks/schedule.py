"""How long the planner takes, beside a naive heap in the same run.

    python benchmarks/schedule.py                                      a table of several sizes
    python benchmarks/schedule.py --vms 100000 --hosts 10000 --shape mix --json
    python benchmarks/schedule.py --write docs/performance.md          the table, into that page

Measured is the way from the queue's entries to the complete placement by name (VM → host), everything that the
planner needs included. The yardstick beside it goes the same way with a heap of hosts and one push for each VM.
Where the demand has no constraints both placements are compared, and the yardstick is the plain loop, with nothing
in it that it does not need. In `mix` and `pinned` it obeys constraints as one would write it with a heap: pinned VMs
and followers go where they must, hosts that a limit closes are put aside, outdated entries of the heap are dropped.

Runs of the two alternate, so that a busy machine slows both. On a machine that is shared with others the best of
the runs says more than their median. The calibration (20 million additions in a loop) tells how fast the machine's
Python was meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from pathlib import Path
from platform import machine
from time import perf_counter

import msgspec

from shoal.core.load import Capacity, Load
from shoal.core.ranges import natural_key
from shoal_orchestrator.core.check import check
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


#: where the table stands in a page
BEGIN, END = "<!-- schedule: begin -->", "<!-- schedule: end -->"


class Row(msgspec.Struct, kw_only=True):
    """What was measured: median and best of `repeat` runs in milliseconds, and the process's peak so far in MiB."""

    shape: str
    vms: int
    hosts: int
    repeat: int
    median_ms: float
    best_ms: float
    naive_median_ms: float
    naive_best_ms: float
    times_as_fast: float
    times_as_fast_best: float
    peak_mib: int
    calibration_s: float


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
        return Item(names=names, schedule=f"host{(block * 5 + at) % max(1, hosts // 2) * 2}")
    if at < 10:
        return Item(names=names, coschedule=(at - 3) * (vms // hosts + 5))
    if 14 <= at < 30:
        return Item(names=names, colocate=f"vm-{block * 100 + 10 + (at - 14) // 4}")
    return Item(names=names)


def planned(items: Sequence[Item], hosts: Sequence[HostView]) -> dict[str, str]:
    """The planner's way."""
    return place(items, hosts).of(items)


def naive(items: Sequence[Item], hosts: Sequence[HostView]) -> dict[str, str]:
    """The yardstick: each VM to the host on top of a heap."""
    ordered = sorted(hosts, key=lambda host: natural_key(host.name))
    heap = [(host.load.vcpus, host.load.vms, number) for number, host in enumerate(ordered)]
    heapify(heap)
    if any(item.schedule or item.colocate or item.coschedule >= 0 for item in items):
        return _obeying(items, ordered, heap)
    found: dict[str, str] = {}
    for item in items:
        for name in item.names:
            vcpus, vms, number = heappop(heap)
            found[name] = ordered[number].name
            heappush(heap, (vcpus + item.vcpus, vms + 1, number))
    return found


def _rank(item: Item) -> tuple[int, int]:
    """Pinned VMs first, then limited ones, small limits first; followers last, when their leaders are placed."""
    if item.schedule:
        return 0, 0
    if item.coschedule >= 0:
        return 1, item.coschedule
    return (3, 0) if item.colocate else (2, 0)


def _obeying(
    items: Sequence[Item], ordered: Sequence[HostView], heap: list[tuple[int, int, int]]
) -> dict[str, str]:
    index = {host.name: number for number, host in enumerate(ordered)}
    now = [(host.load.vcpus, host.load.vms) for host in ordered]
    caps = [1 << 30] * len(ordered)
    found: dict[str, str] = {}
    for item in sorted(items, key=_rank):
        for name in item.names:
            aside = []
            if item.schedule or item.colocate:
                number = index[item.schedule or found[item.colocate]]
            else:
                while True:
                    vcpus, vms, number = entry = heappop(heap)
                    if now[number] != (vcpus, vms):
                        continue
                    if vms < caps[number] and not 0 <= item.coschedule < vms:
                        break
                    aside.append(entry)
            vcpus, vms = now[number]
            now[number] = (vcpus + item.vcpus, vms + 1)
            if item.coschedule >= 0:
                caps[number] = min(caps[number], item.coschedule + 1)
            found[name] = ordered[number].name
            heappush(heap, (vcpus + item.vcpus, vms + 1, number))
            for entry in aside:
                # a host that is full stays so
                if entry[1] < caps[entry[2]]:
                    heappush(heap, entry)
    return found


def timed(
    way: Callable[[Sequence[Item], Sequence[HostView]], object], items: list[Item], hosts: list[HostView]
) -> float:
    """One run, in milliseconds."""
    gc.collect()
    start = perf_counter()
    way(items, hosts)
    return (perf_counter() - start) * 1000


def calibration() -> float:
    """Seconds for 20 million additions in a loop, from the best of five times two million."""
    best = float("inf")
    for _ in range(5):
        start = perf_counter()
        total = 0
        for number in range(2_000_000):
            total += number
        best = min(best, perf_counter() - start)
    return best * 10


def measure(shape: str, vms: int, hosts: int, repeat: int) -> Row:
    """Measure one shape at one size."""
    items, hosts_seen = demand(shape, vms, hosts), views(hosts)
    if shape in ("group", "singles") and planned(items, hosts_seen) != naive(items, hosts_seen):
        raise SystemExit(f"schedule: the placement of {shape} is not the naive one")
    problems = check(place(items, hosts_seen), items, hosts_seen)
    if problems:
        raise SystemExit(f"schedule: the placement of {shape} is wrong: {problems[0]}")
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
        times_as_fast_best=round(min(theirs) / min(ours), 1),
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        calibration_s=round(calibration(), 2),
    )


HEAD = (
    "| shape | VMs | hosts | median ms | best ms | naive heap: median ms | best ms | times as fast: median | best |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
)


def line(row: Row) -> str:
    """A row of the table."""
    return (
        f"| {row.shape} | {row.vms:,} | {row.hosts:,} | {row.median_ms:.1f} | {row.best_ms:.1f} "
        f"| {row.naive_median_ms:.1f} | {row.naive_best_ms:.1f} | {row.times_as_fast:.1f} "
        f"| {row.times_as_fast_best:.1f} |"
    )


def foot(rows: Sequence[Row]) -> str:
    """What the table was measured on."""
    slow, fast = max(row.calibration_s for row in rows), min(row.calibration_s for row in rows)
    return (
        f"{rows[0].repeat} runs of each; Python {sys.version.split()[0]} on {machine()}, one core; calibration (20 "
        f"million additions): {fast:.2f} s at best, {slow:.2f} s at worst while this was measured; peak memory of "
        f"the process, the demand and the yardstick included: {max(row.peak_mib for row in rows)} MiB."
    )


def write(page: Path, rows: Sequence[Row]) -> None:
    """Put the table between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"schedule: {page} has no place for the table: expected lines {BEGIN} and {END}")
    table = "\n".join([*HEAD, *map(line, rows), "", foot(rows)])
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure what the arguments ask for, and print it."""
    parser = argparse.ArgumentParser(description="Measure the planner beside a naive heap.")
    parser.add_argument("--vms", type=int, help="how many VMs (default: several sizes)")
    parser.add_argument("--hosts", type=int, help="how many hosts (default: a tenth of the VMs)")
    parser.add_argument("--shape", choices=[*SHAPES, "all"], default="all")
    parser.add_argument("--repeat", type=int, default=7, help="runs of each (default 7)")
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="also put the table into a page of the docs"
    )
    options = parser.parse_args()
    if (options.vms is not None and options.vms < 1) or (options.hosts is not None and options.hosts < 1):
        parser.error("--vms and --hosts are numbers from 1 on")
    sizes = SIZES if options.vms is None else ((options.vms, options.hosts or max(1, options.vms // 10)),)
    shapes = SHAPES if options.shape == "all" else (options.shape,)
    if not options.json:
        print("\n".join(HEAD))
    rows: list[Row] = []
    for vms, hosts in sizes:
        for shape in shapes:
            row = measure(shape, vms, hosts, options.repeat)
            rows.append(row)
            print(msgspec.json.encode(row).decode() if options.json else line(row), flush=True)
    if not options.json:
        print(f"\n{foot(rows)}")
    if options.write:
        write(options.write, rows)


if __name__ == "__main__":
    main()
