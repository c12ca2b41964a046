"""Watches the event loop: how late it is, and when something has blocked it.

Refuses to know what blocked it: whoever reads the log sees what was logged just before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from shoal.metrics.protocol import NOBODY, Metric, Metrics

LOOK_S = 0.25
#: from so much on it is said in the log
BLOCKED_S = 1.0

LOOP_LAG = Metric(
    "shoal_event_loop_lag_seconds",
    "histogram",
    "How late the event loop was, looked at four times a second.",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
LOOP_BLOCKED = Metric(
    "shoal_event_loop_blocked_total", "counter", "How often the event loop stood still for over a second."
)
#: for the catalogues of the daemons
LOOP_METRICS = (LOOP_LAG, LOOP_BLOCKED)


@contextlib.asynccontextmanager
async def loop_watched(log: Any, metrics: Metrics = NOBODY) -> AsyncIterator[None]:
    """Watch the running loop for as long as the block runs; see `watch_loop`."""
    task = asyncio.create_task(watch_loop(log, metrics), name="loop-watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def watch_loop(log: Any, metrics: Metrics) -> None:
    """Look at the loop's clock, until cancelled; `loop-blocked` in the log tells of over a second.

    A process that was stopped, or a machine that slept, shows in the same way: it was away, the others were not.
    """
    loop = asyncio.get_running_loop()
    due = loop.time() + LOOK_S
    while True:
        await asyncio.sleep(LOOK_S)
        late_s = max(0.0, loop.time() - due)
        metrics.observe(LOOP_LAG, late_s)
        if late_s > BLOCKED_S:
            metrics.count(LOOP_BLOCKED)
            log.warning("loop-blocked", seconds=round(late_s, 2))
        due = loop.time() + LOOK_S
