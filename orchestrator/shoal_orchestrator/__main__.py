"""`shoal-orchestrator`: from the command line to a running orchestrator, and its end on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

import structlog

from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.bus.streams import JetStreamState
from shoal.errors import ShoalError, StoreUnavailable
from shoal_orchestrator.log import configure_logging
from shoal_orchestrator.service import Orchestrator
from shoal_orchestrator.settings import Settings, parse
from shoal_orchestrator.store import Deposed

LOG = structlog.get_logger("shoal.orchestrator")
RESTART_S = 1.0


async def lead(settings: Settings) -> None:
    """Lead, and again after the store was away. Ends with Deposed when another orchestrator took over."""
    async with await connect(settings.server, name="shoal-orchestrator") as bus:
        while True:
            try:
                await Orchestrator(bus, JetStreamState(bus), NatsBlobs(bus), settings).run()
            except StoreUnavailable as error:
                LOG.error("term-ended", error=error.message)  # noqa: TRY400  (one line says it)
                if not bus.client.is_connected and bus.client.is_closed:
                    raise
                await asyncio.sleep(RESTART_S)


async def _run(settings: Settings) -> int:
    task = asyncio.ensure_future(lead(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        LOG.info("stopped")
        return 0
    except Deposed as error:
        LOG.error("deposed", reason=str(error))  # noqa: TRY400  (an end that is expected)
        return 1
    except ShoalError as error:
        print(f"shoal-orchestrator: {error.message}", file=sys.stderr)  # noqa: T201  (a person reads it)
        return error.exit_code
    return 0


def main() -> None:
    """Run the orchestrator until a signal ends it."""
    configure_logging()
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_run(parse())))


if __name__ == "__main__":
    main()
