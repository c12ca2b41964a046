"""A blocked event loop is noticed, measured and told of; one that is not is left in peace."""

from __future__ import annotations

import asyncio
import time

from structlog.testing import CapturingLogger

from shoal.metrics.loop_watch import BLOCKED_S, LOOK_S, LOOP_METRICS, loop_watched
from shoal.metrics.recorder import Recorder


class LateLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be moved on."""

    ahead_s = 0.0

    def time(self) -> float:
        """The clock, moved on."""
        return super().time() + self.ahead_s


def seen(blocked_s: float) -> tuple[Recorder, CapturingLogger]:
    """What is seen of a loop that stands still once for so long."""
    recorder, log = Recorder(LOOP_METRICS), CapturingLogger()

    async def run() -> None:
        async with loop_watched(log, recorder):
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, LateLoop)
            loop.ahead_s += blocked_s
            looks = recorder.snapshot()[0].distributions[()]
            deadline = time.monotonic() + 60
            while not sum(looks.counts):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=LateLoop) as runner:
        runner.run(run())
    return recorder, log


def test_a_loop_that_stood_still_is_told_of() -> None:
    """One line with the seconds, one more in the counter, and the seconds in the histogram."""
    recorder, log = seen(LOOK_S + BLOCKED_S + 1.5)
    lag, blocked = recorder.snapshot()
    assert blocked.values[()] == 1
    assert lag.distributions[()].total >= BLOCKED_S + 1.5
    assert [(call.method_name, call.args) for call in log.calls] == [("warning", ("loop-blocked",))]
    assert log.calls[0].kwargs["seconds"] >= BLOCKED_S + 1.5


def test_a_small_delay_is_only_measured() -> None:
    """Under a second nothing is logged."""
    recorder, log = seen(LOOK_S + 0.3)
    lag, blocked = recorder.snapshot()
    assert lag.distributions[()].total >= 0.3
    assert len(log.calls) == blocked.values[()]
