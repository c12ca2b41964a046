"""Whether one host whose hypervisor hangs slows the launches on the others.

    python -m benchmarks.wedged [--vms N] [--hosts N] [--repeat N] [--json]

One launch over all hosts, timed until every VM that is not on the wedged host is created, by the events of the cluster.
The wedged host is a simulated one whose hypervisor, from some moment on, answers nothing any more, while its worker says
that it lives: so the planner gives it its share. It runs in this process; in the runs without a hang as well.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
from time import perf_counter

import structlog
from benchmarks.rows import Row, number, show

import shoal
from shoal import subjects
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.protocol import Message
from shoal.bus.streams import JetStreamState
from shoal.client import NamespaceHandle
from shoal.messages.events import HostAlive, VMLaunched
from shoal.testing import cluster
from shoal.version import version
from shoal_worker.service import Host, Process, Worker
from shoal_worker.settings import parse
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulation import simulated_hosts

STUCK = "stuck"
#: longer than anything here takes
FOR_EVER_S = 3600.0
TIMEOUT_S = 120.0


def stuck_host(url: str, rng: random.Random) -> tuple[Host, SimulatedHypervisor]:
    """A simulated host, and its hypervisor, which is well as yet."""
    settings = parse(["--simulate", "--server", url, "--hosts", STUCK], environ={})
    [host] = simulated_hosts(settings, rng)
    assert isinstance(host.hypervisor, SimulatedHypervisor)
    return host, host.hypervisor


async def measure(vms: int, hosts: int, *, hangs: bool) -> float:
    """Seconds from the request until all VMs on the other hosts are created."""
    rng, gate = random.Random(1), asyncio.Semaphore(1)
    async with (
        cluster(f"mm[1-{hosts}]") as running,
        await connect(running.url, name="bench-stuck") as bus,
        shoal.connect(running.url) as client,
    ):
        host, hypervisor = stuck_host(running.url, rng)
        process = Process(bus, JetStreamState(bus), NatsBlobs(bus), lambda: gate, rng, version())
        worker = Worker(process, host, structlog.wrap_logger(None, processors=[_quiet]))
        working = asyncio.create_task(worker.run())
        async with asyncio.timeout(TIMEOUT_S):
            await worker.claimed()
            # its first heartbeat makes it alive: a namespace has all the hosts that are
            async for event in client.events(since=0):
                if isinstance(event, HostAlive) and event.name == STUCK:
                    break
        bench = client.namespace("bench")
        await bench.create()

        async def launch() -> None:
            await bench.launch(f"vm[0-{vms - 1}]")

        if hangs:
            hypervisor.latency_s = FOR_EVER_S
        share = vms // (hosts + 1)
        launched, done = itertools.count(1), asyncio.Event()

        def on_launched(_: Message) -> None:
            if next(launched) == vms - share:
                done.set()

        # the short way to count events: the stream tells of each that it has stored
        await bus.subscribe(subjects.stored(subjects.event("bench", "vm", VMLaunched.what, "*")), on_launched)
        await bus.settle()
        begun = perf_counter()
        launching = asyncio.create_task(launch())
        async with asyncio.timeout(TIMEOUT_S):
            await done.wait()
        taken = perf_counter() - begun
        await check(bench, share, hangs=hangs)
        for task in (launching, working):
            task.cancel()
        await asyncio.gather(launching, working, return_exceptions=True)
    return taken


async def check(bench: NamespaceHandle, share: int, *, hangs: bool) -> None:
    """The wedged host was given its share, and has made nothing of it."""
    rows = [row for row in await bench.vms() if row.host == STUCK]
    assert len(rows) == share, f"{len(rows)} VMs on the host that hangs, not {share}"
    assert not hangs or not any(row.pid for row in rows), "it did not hang"


def _quiet(_: object, __: str, ___: structlog.types.EventDict) -> structlog.types.EventDict:
    raise structlog.DropEvent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compares launches with and without a host that hangs.")
    parser.add_argument(
        "--vms", type=int, default=5050, help="a multiple of the hosts, the wedged one included"
    )
    parser.add_argument("--hosts", type=int, default=100, help="the hosts that are well")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(options.repeat):
        for hangs, found in taken.items():
            found.append(asyncio.run(measure(options.vms, options.hosts, hangs=hangs)))
    well, wedged = min(taken[False]), min(taken[True])
    row = Row(
        "one host hangs: launch on the others, as a multiple of without",
        wedged / well,
        "x",
        note=f"{options.vms:,} VMs over {options.hosts + 1:,} hosts: {number(wedged, 's')} and {number(well, 's')}",
    )
    show([row], as_json=options.json)


if __name__ == "__main__":
    main()
