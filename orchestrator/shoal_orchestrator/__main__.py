"""`shoal-orchestrator`: from the command line to a running orchestrator, and its end on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time

import structlog

from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.streams import JetStreamState
from shoal.errors import ShoalError, StoreUnavailable
from shoal.metrics.loop_watch import loop_watched
from shoal.metrics.protocol import Reading
from shoal.metrics.serving import metrics_on
from shoal.service_manager import ServiceManager, service_manager
from shoal_orchestrator.core.leases import Deposed
from shoal_orchestrator.holder import no_longer_leads, this_process
from shoal_orchestrator.log import configure_logging
from shoal_orchestrator.measures import CATALOGUE, LEADING
from shoal_orchestrator.service import Orchestrator
from shoal_orchestrator.settings import Settings, parse

LOG = structlog.get_logger("shoal.orchestrator")
RESTART_S = 1.0


class SuspendAwareLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on while the machine sleeps: a lease runs out meanwhile, too."""

    def time(self) -> float:
        """Seconds of CLOCK_BOOTTIME (clock_gettime(2))."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class Terms:
    """The terms of one process: it stands by, leads, and stands by again when it was deposed or the store was away."""

    def __init__(self, settings: Settings, manager: ServiceManager) -> None:
        self._settings = settings
        self._manager = manager
        self._current: Orchestrator | None = None
        self._stopping = False

    async def run(self) -> None:
        """Until `stop`. StoreUnavailable when the connection is closed for good."""
        async with contextlib.AsyncExitStack() as stack:
            metrics = await stack.enter_async_context(metrics_on(self._settings.metrics, CATALOGUE, LOG))
            stack.enter_context(metrics.reading(lambda: (Reading(LEADING, 0),)))
            await stack.enter_async_context(loop_watched(LOG, metrics))
            await stack.enter_async_context(self._manager.watched())
            bus = await stack.enter_async_context(
                await connect(
                    self._settings.server,
                    name=f"shoal-orchestrator {self._settings.name}",
                    metrics=metrics,
                )
            )
            while not self._stopping:
                self._current = Orchestrator(
                    bus,
                    JetStreamState(bus),
                    NatsBlobs(bus),
                    self._settings,
                    holder=this_process(),
                    gone=no_longer_leads,
                    metrics=metrics,
                )
                told = asyncio.create_task(self._tell(self._current), name="service-manager")
                try:
                    await self._current.run()
                except Deposed as error:
                    LOG.warning("deposed", reason=str(error))
                except StoreUnavailable as error:
                    LOG.error("term-ended", error=error.message)  # noqa: TRY400  (one line says it)
                    if bus.client.is_closed:
                        raise
                    self._manager.status(f"trying again: {error.message}")
                    await asyncio.sleep(RESTART_S)
                finally:
                    told.cancel()

    async def _tell(self, term: Orchestrator) -> None:
        """Say to the service manager what this term is at. Who stands by is at work, too."""
        ends = [asyncio.ensure_future(event.wait()) for event in (term.standing_by, term.ready)]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not term.ready.is_set():
                self._manager.ready("standing by: another orchestrator leads")
                await term.ready.wait()
            self._manager.ready(
                "leading" + (f", epoch {term.leader.store.fence.epoch}" if term.leader else "")
            )
        finally:
            for end in ends:
                end.cancel()

    def stop(self, task: asyncio.Task[None]) -> None:
        """Hand the lead over and end; at once when there is nothing to hand over, or when asked a second time."""
        self._manager.stopping()
        if self._stopping or self._current is None or not self._current.ready.is_set():
            task.cancel()
        else:
            self._current.stop()
        self._stopping = True


async def _run(settings: Settings) -> int:
    terms = Terms(settings, service_manager(os.environ))
    task = asyncio.ensure_future(terms.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terms.stop, task)
    try:
        await task
    except asyncio.CancelledError:
        pass
    except ShoalError as error:
        print(f"shoal-orchestrator: {error.message}", file=sys.stderr)  # noqa: T201  (a person reads it)
        return error.exit_code
    LOG.info("stopped")
    return 0


def main() -> None:
    """Run the orchestrator until a signal ends it."""
    configure_logging()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=SuspendAwareLoop) as runner:
        sys.exit(runner.run(_run(parse())))


if __name__ == "__main__":
    main()
