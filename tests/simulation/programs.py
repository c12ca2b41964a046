"""The programs of a cluster as simulated processes: an orchestrator, a worker; started again when they end.

Refuses to know faults and workload. What a program is made of is new at each start; what outlives it is given to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import Process, VirtualLoop

from shoal.bus.backlog import Backlog
from shoal.bus.memory_bus import MemoryBus, MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.bus.protocol import BlobStore
from shoal.errors import ShoalError, StoreUnavailable
from shoal.version import version
from shoal_orchestrator.core.leases import Deposed
from shoal_orchestrator.service import Orchestrator
from shoal_orchestrator.settings import Settings
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.journal import JournalError
from shoal_worker.network import NetworkError
from shoal_worker.service import Host, Worker
from shoal_worker.service import Process as WorkerProcess

LOG = structlog.get_logger("simulation")
RESTART_S = 1.0
_EXPECTED = (ShoalError, HypervisorError, NetworkError, JournalError, Deposed)


class Program(Protocol):
    """What runs in one process, once."""

    async def run(self, bus: MemoryBus, name: str) -> None:
        """Until it ends by itself, was told to `stop`, or is cancelled."""
        ...

    def stop(self) -> None:
        """SIGTERM. Called in the process."""
        ...


class OrchestratorProgram:
    """Stands by and leads, term after term, as `shoal_orchestrator.__main__` does."""

    def __init__(
        self,
        streams: MemoryStreams,
        blobs: BlobStore,
        ids: random.Random,
        *,
        head: str,
        gone: Callable[[str], bool],
    ) -> None:
        self._streams = streams
        self._blobs = blobs
        self._ids = ids
        self._settings = Settings(head=head)
        self._gone = gone
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.current: Orchestrator | None = None

    async def run(self, bus: MemoryBus, name: str) -> None:
        """Until told to stop."""
        self._task = asyncio.create_task(self._terms(bus, name))
        try:
            await self._task
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            await bus.close()

    async def _terms(self, bus: MemoryBus, name: str) -> None:
        state = MemoryState(bus, self._streams)
        while not self._stopping:
            self.current = Orchestrator(
                bus, state, self._blobs, self._settings, self._ids, holder=name, gone=self._gone
            )
            try:
                await self.current.run()
            except Deposed as error:
                LOG.warning("deposed", reason=str(error))
            except StoreUnavailable as error:
                LOG.warning("term-ended", error=error.message)
                await asyncio.sleep(RESTART_S)

    def stop(self) -> None:
        """Hand over; at once when there is nothing to hand over."""
        if self._stopping or self.current is None or not self.current.ready.is_set():
            if self._task is not None:
                self._task.cancel()
        else:
            self.current.stop()
        self._stopping = True


class WorkerProgram:
    """One worker of one host, as `shoal_worker.__main__` runs it."""

    def __init__(self, streams: MemoryStreams, blobs: BlobStore, rng: random.Random, host: Host) -> None:
        self._streams = streams
        self._blobs = blobs
        self._rng = rng
        self._host = host
        self._stopped = asyncio.Event()
        self.worker: Worker | None = None

    async def run(self, bus: MemoryBus, name: str) -> None:
        """Until told to stop, or the host cannot be used."""
        del name
        gate = asyncio.Semaphore(32)
        state = MemoryState(bus, self._streams)
        backlog = Backlog(bus)
        process = WorkerProcess(
            bus, state, self._blobs, lambda: gate, self._rng, version(), up_to_date=backlog.up_to_date
        )
        self.worker = worker = Worker(process, self._host, structlog.get_logger("worker"))
        work = asyncio.create_task(worker.run(), name="worker")
        told = asyncio.create_task(self._stopped.wait(), name="told")
        watching = asyncio.create_task(backlog.run(), name="backlog")
        try:
            await asyncio.wait((work, told), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await worker.drain()
                work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        finally:
            for task in (work, told, watching):
                task.cancel()
            await asyncio.gather(work, told, watching, return_exceptions=True)
            await bus.close()

    def stop(self) -> None:
        """Drain and end."""
        self._stopped.set()


class Keeper:
    """Keeps one program running: what ends is started again after a while, until `finish`."""

    def __init__(
        self,
        name: str,
        make: Callable[[int], Program],
        *,
        loop: VirtualLoop,
        server: MemoryServer,
        trace: Trace,
        rng: random.Random,
        restart_s: tuple[float, float] = (0.5, 3.0),
    ) -> None:
        self.name = name
        self._make = make
        self._loop = loop
        self._server = server
        self._trace = trace
        self._rng = rng
        self._restart_s = restart_s
        self._starts = 0
        self._finishing = False
        self.process: Process | None = None
        self.program: Any = None
        self.bus: MemoryBus | None = None
        #: the names of processes that have ended
        self.ended: set[str] = set()

    async def run(self) -> None:
        """Keep it running."""
        while not self._finishing:
            self._starts += 1
            name = f"{self.name}#{self._starts}"
            self.process = process = self._loop.process(name)
            self._trace.note("starts", name)
            process.start(self._main(name))
            await process.ended.wait()
            self.ended.add(name)
            self._judge(process)
            if not self._finishing:
                await asyncio.sleep(self._rng.uniform(*self._restart_s))

    async def _main(self, name: str) -> None:
        self.program = program = self._make(self._starts)
        self.bus = bus = self._server.connect(self.name)
        await program.run(bus, name)

    def _judge(self, process: Process) -> None:
        error = process.error
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if process.dead:
            return
        self._trace.note(f"has ended: {error!r}" if error else "has ended", process.name)
        if error is not None and not isinstance(error, _EXPECTED):
            self._trace.complain(f"{process.name} ended with {error!r}")
        for task in process.living():
            self._trace.complain(f"{process.name} left a task behind: {task!r}")

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and not self.process.dead and not self.process.ended.is_set()

    def kill(self) -> None:
        """`kill -9`."""
        if self.alive and self.process is not None:
            self._trace.note("is killed", self.process.name)
            self.process.kill()
            if self.bus is not None:
                self.bus.vanish()

    def terminate(self) -> None:
        """SIGTERM."""
        if self.alive and self.process is not None and self.program is not None:
            self._trace.note("is told to end", self.process.name)
            self.process.call(self.program.stop)

    async def finish(self) -> None:
        """Have it end, and not start again."""
        self._finishing = True
        if self.alive and self.process is not None:
            self.terminate()
            await self.process.ended.wait()
