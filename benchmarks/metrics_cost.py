"""What the metrics cost: the same launches with and without `--metrics` at both daemons, in turns.

    python -m benchmarks.metrics_cost [--vms N] [--hosts N] [--repeat N] [--json]

Nobody scrapes meanwhile: a scrape costs the same however many VMs there are. CPU time is compared, of orchestrator and
workers, the least of several runs each: it says more than seconds on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.launch import measure
from benchmarks.rows import Row, number, show

MEASURED = ("orchestrator", "workers")
#: less CPU time than this cannot be told from none
TICK_S = 0.01


def least_cpu_s(vms: int, hosts: int, repeat: int) -> tuple[float, float]:
    """CPU seconds without and with metrics."""
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(repeat):
        for metrics, found in taken.items():
            cpu = asyncio.run(measure(vms, hosts, metrics=metrics)).cpu
            found.append(sum(cpu[role] for role in MEASURED))
    return min(taken[False]), min(taken[True])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compares launches with and without metrics.")
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    without, having = least_cpu_s(options.vms, options.hosts, options.repeat)
    row = Row(
        "metrics: CPU time of a launch with them, as a multiple of without",
        having / max(without, TICK_S),
        "x",
        note=f"{options.vms:,} VMs: {number(having, 's')} and {number(without, 's')} of CPU time, both daemons",
    )
    show([row], as_json=options.json)


if __name__ == "__main__":
    main()
