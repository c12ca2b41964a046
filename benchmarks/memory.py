"""What many VMs cost in memory: resident memory of every process before they are launched and while they run.

    python -m benchmarks.memory [--vms N] [--hosts N] [--json]

They are launched in ten parts, each into a namespace of its own, so that no single answer is what is measured. The
simulated workers share one process; that tells little about real ones, which have a host each, and is only noted.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.launching import launched_s
from benchmarks.processes import rss_mib
from benchmarks.rows import Row, show

import shoal
from shoal.testing import cluster

NAMESPACES = 10
ROLES = ("orchestrator", "nats-server", "workers")


async def measure(vms: int, hosts: int) -> tuple[dict[str, float], dict[str, float]]:
    """MiB of each process, before and after."""
    async with cluster(f"mm[1-{hosts}]") as running, shoal.connect(running.url) as client:
        before = {role: rss_mib(running.pid(role)) for role in ROLES}
        for number in range(NAMESPACES):
            bench = client.namespace(f"bench{number}")
            await bench.create()
            await launched_s(bench, vms // NAMESPACES)
        after = {role: rss_mib(running.pid(role)) for role in ROLES}
    return before, after


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures the memory that many VMs take.")
    parser.add_argument("--vms", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=1_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.vms < NAMESPACES:
        parser.error(f"--vms is {NAMESPACES} or more")
    vms = options.vms // NAMESPACES * NAMESPACES
    before, after = asyncio.run(measure(vms, options.hosts))
    show(
        [
            Row(
                f"{vms:,} VMs on {options.hosts:,} hosts: memory of {role}",
                after[role],
                "MiB",
                note=f"{before[role]:.0f} before; {(after[role] - before[role]) * 1024 / vms:.2f} KiB for each VM",
            )
            for role in ROLES
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
