"""A real worker with real guests and simulated links, as a process: a process can have one embedded root only.

Usage: worker_agent.py HOST SERVER STATE CACHE. Each line on its standard input names a domain (`VM@NAMESPACE`), which
is destroyed, and undefined, through a libvirt connection that the worker knows nothing of; the answer is one line.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from pathlib import Path

import libvirt

from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.streams import JetStreamState
from shoal_worker import logs
from shoal_worker.accelerator import Accelerator
from shoal_worker.file_cache import FILES, DiskCache
from shoal_worker.journal import FileJournal
from shoal_worker.libvirt_hypervisor import LibvirtHypervisor
from shoal_worker.machine import LinuxMachine
from shoal_worker.service import Host, Process, Worker
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork


def end_behind(state: Path, name: str) -> str:
    """What `virsh destroy` and `virsh undefine` do."""
    connection = libvirt.open(f"qemu:///embed?root={state / 'libvirt'}")
    try:
        domain = connection.lookupByName(name)
        domain.destroy()
        # one that is not persistent is gone by now, and there is nothing to undefine
        with contextlib.suppress(libvirt.libvirtError):
            domain.undefine()
        return " ".join(each.name() for each in connection.listAllDomains(0))
    finally:
        connection.close()


def host(name: str, state: Path, cache: Path) -> Host:
    hypervisor = LibvirtHypervisor(state, host=name, accelerator=Accelerator(kind="tcg"), cache=cache)
    return Host(
        name=name,
        hypervisor=hypervisor,
        access=hypervisor.access,
        network=SimulatedNetwork(SimulatedKernel()),
        machine=LinuxMachine(),
        journal=FileJournal(state, lambda: "the-only-one"),
        underlay="10.0.0.9",
        cache=lambda blobs: DiskCache(state / FILES, blobs, 1 << 30),
    )


async def main(name: str, server: str, state: Path, cache: Path) -> None:
    log = logs.configure()
    gate = asyncio.Semaphore(8)
    async with await connect(server, name=f"worker of {name}") as bus:
        process = Process(bus, JetStreamState(bus), NatsBlobs(bus), lambda: gate, random.Random(), "test")
        worker = Worker(process, host(name, state, cache), log)
        working = asyncio.create_task(worker.run())
        while line := await asyncio.to_thread(sys.stdin.readline):
            left = await asyncio.to_thread(end_behind, state, line.strip())
            print(f"left: {left}", flush=True)
        await worker.drain()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])))
