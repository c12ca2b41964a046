"""`shoal-worker`: from the command line to running workers, and their end on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import Sequence
from typing import Any

from shoal.bus.backlog import Backlog
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import NatsBus, connect
from shoal.bus.streams import JetStreamState
from shoal.errors import ShoalError, Unavailable
from shoal.metrics.loop_watch import loop_watched
from shoal.metrics.protocol import NOBODY, Metrics
from shoal.metrics.serving import metrics_on
from shoal.service_manager import ServiceManager, service_manager
from shoal.version import version
from shoal_worker import logs
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.journal import JournalError
from shoal_worker.measures import CATALOGUE
from shoal_worker.network import NetworkError
from shoal_worker.real_host import real_host
from shoal_worker.service import Host, Process, Worker
from shoal_worker.settings import Settings, parse
from shoal_worker.simulation import simulated_hosts

#: how many hosts of one process claim and read at once
_AT_ONCE = 32
#: how many hosts of one process start in a second
_STARTS_PER_S = 500
_RETRY_MAX_S = 5.0
_EXPECTED = (ShoalError, HypervisorError, NetworkError, JournalError)


async def connected(settings: Settings, rng: random.Random, log: Any, metrics: Metrics = NOBODY) -> NatsBus:
    """A connection, as soon as the server is there; that it is not is said once."""
    wait_s, said = 0.5, False
    while True:
        try:
            return await connect(settings.server, name=f"shoal-worker {settings.host}", metrics=metrics)
        except Unavailable as error:
            if not said:
                log.warning("server-waited-for", error=error.message)
            said = True
            await asyncio.sleep(wait_s * rng.uniform(0.8, 1.2))
            wait_s = min(_RETRY_MAX_S, 2 * wait_s)


async def hosts_of(settings: Settings, rng: random.Random) -> list[Host]:
    """What this process is the worker of."""
    if settings.simulate:
        return list(simulated_hosts(settings, rng))
    return [await real_host(settings, f"{rng.getrandbits(96):024x}")]


class Run:
    """All workers of this process, from the connection to their end."""

    def __init__(self, settings: Settings, log: Any, manager: ServiceManager) -> None:
        self._settings = settings
        self._log = log
        self._manager = manager
        self._stopped = asyncio.Event()
        self._working = False
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Connect and work until `stop`. Raises what made it impossible."""
        self._task = asyncio.create_task(self._run())
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def stop(self) -> None:
        """The first time workers end what they are doing; the second time, or before they work, at once."""
        if self._working and not self._stopped.is_set():
            self._stopped.set()
        elif self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        settings, rng = self._settings, random.SystemRandom()
        async with contextlib.AsyncExitStack() as stack:
            metrics = await stack.enter_async_context(metrics_on(settings.metrics, CATALOGUE, self._log))
            await stack.enter_async_context(loop_watched(self._log, metrics))
            await stack.enter_async_context(self._manager.watched())
            hosts = await hosts_of(settings, rng)
            self._manager.status(f"waiting for NATS at {settings.server}")
            bus = await stack.enter_async_context(await connected(settings, rng, self._log, metrics))
            at_once = asyncio.Semaphore(_AT_ONCE)
            backlog = Backlog(bus)
            process = Process(
                bus,
                JetStreamState(bus),
                NatsBlobs(bus),
                lambda: at_once,
                rng,
                version(),
                metrics,
                backlog.up_to_date,
            )
            workers = [Worker(process, host, self._log) for host in hosts]
            spread_s = len(workers) / _STARTS_PER_S if len(workers) > 1 else 0.0
            async with asyncio.TaskGroup() as group:
                self._working = True
                tasks = [
                    group.create_task(_start(worker, rng.uniform(0, spread_s)), name=host.name)
                    for worker, host in zip(workers, hosts, strict=True)
                ]
                tasks.append(group.create_task(backlog.run(), name="backlog"))
                tasks.append(group.create_task(self._tell(workers, hosts), name="service-manager"))
                await self._ended(bus)
                self._manager.stopping()
                self._log.info("draining", hosts=len(workers))
                await asyncio.gather(*(worker.drain() for worker in workers))
                for task in tasks:
                    task.cancel()

    async def _tell(self, workers: Sequence[Worker], hosts: Sequence[Host]) -> None:
        """Say to the service manager when every host is ours to act on."""
        whom = hosts[0].name if len(hosts) == 1 else f"{len(hosts)} hosts"
        self._manager.status(f"claiming {whom} from the orchestrator")
        await asyncio.gather(*(worker.claimed() for worker in workers))
        self._manager.ready(f"working for {whom}")

    async def _ended(self, bus: NatsBus) -> None:
        """Wait until we are told to end. Unavailable when the connection will never come back."""
        ends = [asyncio.ensure_future(event.wait()) for event in (self._stopped, bus.closed)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        if bus.closed.is_set():
            raise Unavailable(
                f"the connection to {self._settings.server} was closed for good; start the worker again"
            )


async def _start(worker: Worker, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    await worker.run()


def _reason(error: BaseException) -> BaseException:
    """The first of the errors that tasks ended with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _main(settings: Settings) -> int:
    log = logs.configure()
    run = Run(settings, log, service_manager(os.environ))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, run.stop)
    try:
        await run.run()
    except Exception as error:
        reason = _reason(error)
        if not isinstance(reason, _EXPECTED):
            raise
        print(f"shoal-worker: {reason}", file=sys.stderr)  # noqa: T201  # a person reads it
        return 1
    log.info("stopped")
    return 0


def main() -> None:
    """Run the worker until a signal ends it."""
    settings = parse()
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_main(settings)))


if __name__ == "__main__":
    main()
