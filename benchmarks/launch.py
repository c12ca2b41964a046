"""How fast VMs are launched, started and ended, end to end: through a real nats-server with simulated workers.

    python -m benchmarks.launch [--vms N] [--hosts N] [--repeat N] [--json]

Measured by the client library: from the request to the answer, which comes when every VM's host has reported that it is
as was asked. One orchestrator, one process of simulated workers, one nats-server, all on this machine (R1). Of several
runs, each with a cluster of its own, the fastest counts: what makes the others slower is other programs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from benchmarks.launching import timed
from benchmarks.processes import Spent
from benchmarks.rows import Row, number, show

import shoal
from shoal.settings.declaring import METRICS
from shoal.testing import cluster

ROLES = ("orchestrator", "workers", "nats-server")
#: VMs launched and started in a second: what was asked for
BUDGET = 4000
#: what the peer takes for each VM and host, one after the other
PEER_S = 0.105
STEPS = ("launch", "start all", "vm info", "kill all", "clear namespace")


@dataclass(frozen=True)
class Taken:
    """Seconds for each step, and the CPU seconds that each process took for all of them."""

    seconds: dict[str, float]
    cpu: dict[str, float]

    @property
    def running_s(self) -> float:
        """From the request to launch to the last VM that runs."""
        return self.seconds["launch"] + self.seconds["start all"]


@contextmanager
def daemons_with(metrics: bool) -> Iterator[None]:
    """What daemons that are started meanwhile answer scrapes: on any free port, or nothing."""
    variable = METRICS.environment
    before = os.environ.pop(variable, None)
    if metrics:
        os.environ[variable] = "127.0.0.1:0"
    try:
        yield
    finally:
        os.environ.pop(variable, None)
        if before is not None:
            os.environ[variable] = before


async def measure(vms: int, hosts: int, *, metrics: bool = False) -> Taken:
    """One run, with a cluster of its own."""
    with daemons_with(metrics):
        async with cluster(f"mm[1-{hosts}]") as running, shoal.connect(running.url) as client:
            assert ("metrics-served" in running.log("orchestrator")) == metrics
            spent = Spent({role: running.pid(role) for role in ROLES})
            bench = client.namespace("bench")
            await bench.create()
            seconds = {
                "launch": await timed(bench.launch(f"vm[0-{vms - 1}]")),
                "start all": await timed(bench.start("all")),
            }
            begun = perf_counter()
            rows = await bench.vms()
            seconds["vm info"] = perf_counter() - begun
            assert len(rows) == vms
            assert {row.state for row in rows} == {"RUNNING"}
            seconds["kill all"] = await timed(bench.kill("all"))
            seconds["clear namespace"] = await timed(bench.clear())
            return Taken(seconds, spent.so_far())


def table(vms: int, hosts: int, runs: list[Taken]) -> list[Row]:
    """The rows of the fastest run."""
    best = min(runs, key=lambda run: run.running_s)
    what = f"{vms:,} VMs on {hosts:,} simulated hosts"
    all_rates = ", ".join(f"{vms / run.running_s:,.0f}" for run in runs)
    cpu = sum(best.cpu.values())
    return [
        Row(
            f"{what}: launched and started",
            vms / best.running_s,
            "VMs/s",
            budget=f"≥ {BUDGET:,}",
            peer=f"{number(1 / PEER_S, 'VMs/s')}",
            note=f"all runs: {all_rates}",
        ),
        *(Row(f"{what}: {step}", best.seconds[step], "s") for step in STEPS),
        Row(
            f"{what}: CPU time for all of that",
            cpu,
            "s",
            note=", ".join(f"{role} {seconds:.1f}" for role, seconds in best.cpu.items()),
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times the launch of many VMs on simulated hosts.")
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3, help="runs, each with a new cluster (default 3)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs = [asyncio.run(measure(options.vms, options.hosts)) for _ in range(options.repeat)]
    show(table(options.vms, options.hosts, runs), as_json=options.json)


if __name__ == "__main__":
    main()
