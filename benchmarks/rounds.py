"""Whether memory stays flat: many VMs launched, started, listed, killed and cleared, again and again.

    python -m benchmarks.rounds [--vms N] [--hosts N] [--rounds N] [--json]

Resident memory of every process after each round, when nothing is left of its VMs. The first round fills what is kept
on purpose: outcomes of requests, what workers remember of guests that are gone, the server's buffers.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.launching import launched_s
from benchmarks.processes import rss_mib
from benchmarks.rows import Row, show

import shoal
from shoal.client import Client
from shoal.testing import cluster

ROLES = ("orchestrator", "workers", "nats-server")


async def one_round(client: Client, vms: int) -> None:
    """From nothing to nothing."""
    bench = client.namespace("bench")
    await bench.create()
    await launched_s(bench, vms)
    await bench.kill("all")
    await bench.clear()


async def measure(vms: int, hosts: int, rounds: int) -> dict[str, list[float]]:
    """MiB after each round, by role."""
    found: dict[str, list[float]] = {role: [] for role in ROLES}
    async with cluster(f"mm[1-{hosts}]") as running, shoal.connect(running.url) as client:
        for _ in range(rounds):
            await one_round(client, vms)
            for role, sizes in found.items():
                sizes.append(rss_mib(running.pid(role)))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures whether memory stays flat.")
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error("--rounds is 2 or more: the first is what the last is compared with")
    found = asyncio.run(measure(options.vms, options.hosts, options.rounds))
    rows = [
        Row(
            f"memory after {options.rounds} rounds of {options.vms:,} VMs: {role}",
            sizes[-1],
            "MiB",
            note="after each round: " + ", ".join(f"{size:.0f}" for size in sizes),
        )
        for role, sizes in found.items()
    ]
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
