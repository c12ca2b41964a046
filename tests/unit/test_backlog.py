"""What arrives after we were away for a while is dropped, until everything that was sent meanwhile has arrived."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.waiting import eventually

from shoal.bus.backlog import GAP_S, Backlog


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose clock can be moved on, as it seems to a process that was paused."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s


class SettlingBus:
    """A bus that has delivered everything when `arrived` is set."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    async def settle(self) -> None:
        await self.arrived.wait()


def test_requests_are_dropped_after_a_gap_and_taken_again_after_it() -> None:
    """The first look after a gap already says no, and it stays so until the bus has settled."""

    async def story(loop: Clock) -> None:
        bus: Any = SettlingBus()
        backlog = Backlog(bus)
        watching = asyncio.ensure_future(backlog.run())
        assert backlog.up_to_date()
        loop.ahead_s += GAP_S + 1
        assert not backlog.up_to_date()
        await asyncio.sleep(0)
        assert not backlog.up_to_date()
        bus.arrived.set()

        async def again() -> bool:
            return backlog.up_to_date()

        await eventually(again, "requests are taken again")
        watching.cancel()

    with asyncio.Runner(loop_factory=Clock) as runner:
        loop: Any = runner.get_loop()
        runner.run(story(loop))


def test_a_short_pause_drops_nothing() -> None:
    """A busy machine is no reason to drop requests."""

    async def story(loop: Clock) -> None:
        bus: Any = SettlingBus()
        backlog = Backlog(bus)
        for _ in range(3):
            loop.ahead_s += GAP_S - 0.5
            assert backlog.up_to_date()

    with asyncio.Runner(loop_factory=Clock) as runner:
        loop: Any = runner.get_loop()
        runner.run(story(loop))
