"""VMs that are launched and started, and how long that takes: what several benchmarks do the same way.

Refuses to know which daemons run beneath.
"""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from shoal.client.handles import NamespaceHandle


async def timed(work: Awaitable[object]) -> float:
    """Seconds until it is done."""
    start = perf_counter()
    await work
    return perf_counter() - start


async def launched_s(namespace: NamespaceHandle, vms: int) -> float:
    """Launch and start `vms` VMs; seconds until the last is running. SystemExit when one is not."""
    taken = await timed(namespace.launch(f"vm[0-{vms - 1}]")) + await timed(namespace.start("all"))
    states = [row.state for row in await namespace.vms()]
    if states != ["RUNNING"] * vms:
        raise SystemExit(f"launched {vms:,} VMs: {states.count('RUNNING'):,} of {len(states):,} run")
    return taken
