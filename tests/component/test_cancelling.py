"""Tasks that use the bus end when they are told to."""

from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from shoal.bus.connection import connect
from shoal.errors import ShoalError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_connecting_and_asking_can_be_cancelled_at_every_step(nats_url: str) -> None:
    """However many turns of the loop it has had, a task that connects, asks and disconnects ends when it is told to."""

    async def use() -> None:
        while True:
            async with await connect(nats_url, name="t") as bus:
                await bus.settle()
                with contextlib.suppress(ShoalError):
                    await bus.request("nobody.listens", b"", timeout_s=1)

    for turns in range(150):
        task = asyncio.ensure_future(use())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=10)
        assert done, f"not ended after {turns} turns of the loop"
        assert task.cancelled()
    # A connection that is cancelled while nats-py makes it is closed by the garbage collector only, which complains.
    gc.collect()
