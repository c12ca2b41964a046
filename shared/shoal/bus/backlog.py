"""Whether we are up to date with what the bus delivers, or find what was sent while we were not looking.

Refuses to know what is delivered. A process that was paused, or whose event loop was blocked, finds requests whose
callers gave up long ago or have asked again: nobody is served by them, and running them late can do harm.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal.bus.protocol import Bus
from shoal.errors import ShoalError

LOG = structlog.get_logger("shoal.backlog")
TICK_S = 1.0
#: without a look for so long, what has arrived meanwhile is dropped
GAP_S = 5.0


class Backlog:
    """Notices gaps in our own attention; `run` beside whoever asks `up_to_date`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._looked_at = asyncio.get_running_loop().time()
        self._behind = asyncio.Event()

    def up_to_date(self) -> bool:
        """Whether what arrives now was sent to us a moment ago. To be asked when something arrives."""
        now = asyncio.get_running_loop().time()
        gap, self._looked_at = now - self._looked_at, now
        if gap > GAP_S and not self._behind.is_set():
            LOG.warning("backlog-dropped", gap_s=round(gap, 1))
            self._behind.set()
        return not self._behind.is_set()

    async def run(self) -> None:
        """Look once a second; after a gap wait until everything that was sent during it has arrived."""
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._behind.wait()
            except TimeoutError:
                self.up_to_date()
                continue
            try:
                await self._bus.settle()
            except ShoalError as error:
                LOG.warning("backlog-unknown", error=error.message)
                await asyncio.sleep(TICK_S)
            else:
                self._looked_at = asyncio.get_running_loop().time()
                self._behind.clear()
