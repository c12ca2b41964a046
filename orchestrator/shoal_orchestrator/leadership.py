"""The wait of a standby: until nobody leads, as fence and lease of the state stream tell it.

Refuses to know what a leader does. Several orchestrators may wait; the server's compare-and-set on the fence lets one
of them through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from shoal import subjects
from shoal.bus.protocol import Bus, Message, StateStream
from shoal.errors import ShoalError
from shoal_orchestrator.core.leases import LEASE_S, Lead, LeaseWatch, released

LOG = structlog.get_logger("shoal.leadership")
#: how often a standby looks at fence and lease; a hand-over is heard of at once
LOOK_S = 1.0


class Standby:
    """One orchestrator that does not lead. `gone` tells whether the process of a fence's holder has ended.

    `standing_by` is set once another one is found to lead.
    """

    def __init__(
        self,
        bus: Bus,
        stream: StateStream,
        gone: Callable[[str], bool],
        *,
        patience_s: float = LEASE_S,
        standing_by: asyncio.Event | None = None,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._gone = gone
        self._patience_s = patience_s
        self._wake = asyncio.Event()
        self._standing_by = standing_by or asyncio.Event()

    async def wait(self) -> Lead:
        """Wait until the lead may be taken; returns the fence and the lease that the taker has to replace."""
        watch = LeaseWatch(self._gone, patience_s=self._patience_s)
        said = False
        subscription = await self._bus.subscribe(subjects.stored(subjects.LEASE), self._on_lease)
        try:
            while True:
                self._wake.clear()
                with contextlib.suppress(
                    ShoalError
                ):  # a store that does not answer says nothing about the leader
                    lease = await self._stream.get(subjects.LEASE)
                    found = Lead(await self._stream.get(subjects.FENCE), lease)
                    why = watch.free(found, asyncio.get_running_loop().time())
                    if why:
                        LOG.info("lead-is-free", reason=why)
                        return found
                    if not said:
                        LOG.info("standing-by", reason="another orchestrator leads")
                        said = True
                        self._standing_by.set()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._wake.wait()
        finally:
            await subscription.stop()

    def _on_lease(self, message: Message) -> None:
        if released(message.body):
            self._wake.set()
