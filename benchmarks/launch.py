"""How fast VMs are launched, started and ended, end to end: through a real nats-server with simulated workers.

    python benchmarks/launch.py [--vms N] [--hosts N] [--json]

Measured by the client library: from the request to the answer, which comes when every VM's host has reported that it is
as was asked. One orchestrator, one process of simulated workers, one nats-server, all on this machine (R1).
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable
from time import perf_counter

import shoal
from shoal.testing import cluster


async def _timed(work: Awaitable[object]) -> float:
    start = perf_counter()
    await work
    return perf_counter() - start


async def measure(vms: int, hosts: int) -> dict[str, float]:
    """Seconds for each step."""
    async with cluster(f"mm[1-{hosts}]") as running, shoal.connect(running.url) as client:
        bench = client.namespace("bench")
        await bench.create()
        taken = {
            "launch": await _timed(bench.launch(f"vm[0-{vms - 1}]")),
            "start all": await _timed(bench.start("all")),
        }
        rows = await bench.vms()
        assert len(rows) == vms
        assert {row.state for row in rows} == {"RUNNING"}
        taken["vm info"] = await _timed(bench.vms())
        taken["kill all"] = await _timed(bench.kill("all"))
        taken["clear namespace"] = await _timed(bench.clear())
    return taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times the launch of many VMs on simulated hosts.")
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    taken = asyncio.run(measure(options.vms, options.hosts))
    both = taken["launch"] + taken["start all"]
    if options.json:
        print(
            json.dumps(
                {
                    "vms": options.vms,
                    "hosts": options.hosts,
                    "seconds": taken,
                    "vms_per_s": options.vms / both,
                }
            )
        )
        return
    print(f"{options.vms:,} VMs on {options.hosts:,} simulated hosts")
    for step, seconds in taken.items():
        print(f"  {step:16} {seconds:7.2f} s   {options.vms / seconds:9,.0f} VMs/s")
    print(f"  launched and started: {options.vms / both:,.0f} VMs/s")


if __name__ == "__main__":
    main()
