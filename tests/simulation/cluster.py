"""A whole simulated cluster: server, orchestrators, workers on hosts, clients.

Refuses to know when what is done to it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from tests.simulation.attachments import Captured
from tests.simulation.machines import Remains
from tests.simulation.oracle import Oracle
from tests.simulation.programs import Keeper, OrchestratorProgram, Program, WorkerProgram
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import Process, VirtualLoop
from tests.simulation.weather import SeededWeather

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.bus.memory_bus import MemoryServer
from shoal.bus.memory_streams import MemoryStreams
from shoal.client import Client
from shoal.errors import StoreUnavailable
from shoal_orchestrator.leader import Leader

HEAD = "head"
_FIRST_ADDRESS = IPv4Address("10.128.0.1")


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is. `sees_death`: orchestrators run on one machine, and see when another's process has ended."""

    hosts: int = 3
    orchestrators: int = 1
    sees_death: bool = True
    creations: int = 3


class Cluster:
    """Use: `start`, then do what you like to it, then `finish`."""

    def __init__(self, size: Size, seed: str, loop: VirtualLoop, trace: Trace) -> None:
        self._seed = seed
        self._loop = loop
        self._trace = trace
        self.size = size
        self.weather = SeededWeather(self.rng("weather"))
        self.server = MemoryServer(self.weather)
        self.streams = MemoryStreams(self.server)
        self.streams.lag = self.weather.lag
        self.blobs = MemoryBlobs()
        names = [HEAD, *(f"mm{number}" for number in range(size.hosts))]
        self.hosts = {name: Remains(name, self.rng(name), self._changed) for name in names}
        self.oracle = Oracle(trace, self.hosts)
        self.streams.watchers.append(self.oracle.stored)
        self.workers = {name: self._worker(name, index) for index, name in enumerate(names)}
        self.orchestrators = {
            name: self._orchestrator(name)
            for name in (f"orchestrator-{number}" for number in range(size.orchestrators))
        }
        self.keepers = [*self.orchestrators.values(), *self.workers.values()]
        self._clients: list[Process] = []
        self._tasks: list[asyncio.Task[None]] = []

    def rng(self, what: str) -> random.Random:
        """Chance of its own for each purpose, so that one does not disturb the other."""
        return random.Random(f"{self._seed}/{what}")

    def _changed(self, host: str) -> None:
        self.oracle.look(host)

    def full(self) -> Exception:
        """The refusal of a server whose disk is full."""
        return StoreUnavailable("the store did not take it: insufficient resources (code 10023)")

    # --- programs ----------------------------------------------------------------------------------------

    def _keeper(self, name: str, make: Callable[[int], Program]) -> Keeper:
        return Keeper(
            name, make, loop=self._loop, server=self.server, trace=self._trace, rng=self.rng(f"{name}/keeper")
        )

    def _worker(self, name: str, index: int) -> Keeper:
        underlay = str(_FIRST_ADDRESS + index)

        def make(start: int) -> Program:
            host = self.hosts[name].host(underlay, edge=name == HEAD, creations=self.size.creations)
            return WorkerProgram(self.streams, self.blobs, self.rng(f"{name}/{start}"), host)

        return self._keeper(name, make)

    def _orchestrator(self, name: str) -> Keeper:
        def make(start: int) -> Program:
            return OrchestratorProgram(
                self.streams, self.blobs, self.rng(f"{name}/{start}"), head=HEAD, gone=self._has_ended
            )

        return self._keeper(name, make)

    def _has_ended(self, process: str) -> bool:
        """Whether an orchestrator's process has ended, where that can be seen."""
        if not self.size.sees_death:
            return False
        keeper = self.orchestrators.get(process.partition("#")[0])
        return keeper is not None and process in keeper.ended

    def client(self, name: str, work: Callable[[Client], Coroutine[Any, Any, None]]) -> Process:
        """Somebody who uses the cluster, in a process of its own."""
        process = self._loop.process(name)

        async def main() -> None:
            bus = self.server.connect(name)
            client = Client(bus, self.rng(name))
            try:
                await work(client)
            finally:
                await client.close()

        process.start(main())
        self._clients.append(process)
        return process

    # --- its life ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start all programs."""
        self._tasks = [asyncio.create_task(keeper.run(), name=keeper.name) for keeper in self.keepers]

    def leader(self) -> Leader | None:
        """The one that answers; None while there is none, or more than one thinks so."""
        found = [
            keeper.program.current
            for keeper in self.orchestrators.values()
            if keeper.alive and keeper.program is not None and keeper.program.current is not None
        ]
        leading = [each.leader for each in found if each.ready.is_set() and each.leader is not None]
        return leading[0] if len(leading) == 1 else None

    def parts(self) -> dict[str, Any]:
        """What the running workers are made of."""
        found = {}
        for name, keeper in self.workers.items():
            worker = keeper.program.worker if keeper.alive and keeper.program is not None else None
            if worker is not None and worker._parts is not None:
                found[name] = worker._parts
        return found

    def captured(self) -> Captured:
        """What has become of captures, as far as they are no files yet."""
        held = (kept.capture for host in self.hosts.values() for kept in host.book.kept)
        return Captured({capture.name for capture in held}, self.oracle.died)

    def unsettled(self) -> list[str]:
        """What is not as it should be by now."""
        return self.oracle.unsettled(self.streams, self.leader(), self.parts())

    def ready(self) -> bool:
        """Whether everybody has found each other."""
        leader = self.leader()
        return leader is not None and set(leader.inventory.alive()) >= set(self.hosts)

    async def finish(self) -> None:
        """End all programs in order."""
        for keeper in (*self.workers.values(), *self.orchestrators.values()):
            await keeper.finish()
        await asyncio.gather(*self._tasks)
