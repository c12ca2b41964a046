"""The loop with made-up time: what the simulation's answers rest on."""

import asyncio
import random
import time

import pytest
from tests.simulation.virtual_loop import StandStill, VirtualLoop


@pytest.fixture
def loop():
    made = VirtualLoop(random.Random(1))
    yield made
    made.close()
    made.bury()


def test_hours_pass_at_once_and_in_order(loop):
    """Time jumps from timer to timer; who sleeps less wakes first."""
    woken = []

    async def sleep(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, loop.time()))

    async def main():
        await asyncio.gather(sleep(7200.0), sleep(3600.0), sleep(0.5))

    begun, really = loop.time(), time.monotonic()
    loop.run_until_complete(main())
    assert woken == [(0.5, begun + 0.5), (3600.0, begun + 3600.0), (7200.0, begun + 7200.0)]
    assert time.monotonic() - really < 60


def test_killed_process_does_not_even_tidy_up(loop):
    """After a kill nothing of a process runs: no `except`, no `finally`, not now and not at its next timer."""
    seen = []

    async def work():
        try:
            while True:
                seen.append("step")
                await asyncio.sleep(1.0)
        finally:
            seen.append("finally")

    async def main():
        process = loop.process("p")
        process.start(work())
        await asyncio.sleep(2.5)
        process.kill()
        await process.ended.wait()
        await asyncio.sleep(10.0)

    loop.run_until_complete(main())
    assert seen == ["step"] * 3


def test_paused_process_does_later_what_it_missed(loop):
    """What would have happened in a pause happens after it, in order; the others go on meanwhile."""
    seen = []

    async def work(who, times):
        for _ in range(times):
            await asyncio.sleep(1.0)
            seen.append((who, round(loop.time() - begun, 3)))

    async def main():
        one, other = loop.process("one"), loop.process("other")
        one.start(work("one", 2))
        other.start(work("other", 2))
        await asyncio.sleep(0.5)
        one.pause()
        await asyncio.sleep(4.0)
        one.resume()
        await one.ended.wait()

    begun = loop.time()
    loop.run_until_complete(main())
    assert seen == [("other", 1.0), ("other", 2.0), ("one", 4.5), ("one", 5.5)]


def test_armed_process_is_struck_in_the_middle(loop):
    """What is armed happens after exactly so many steps, wherever the process is then."""
    steps = []

    async def work():
        for number in range(100):
            steps.append(number)
            await asyncio.sleep(0)

    async def main():
        process = loop.process("p")
        process.start(work())
        process.after = (10, process.kill)
        await process.ended.wait()

    loop.run_until_complete(main())
    assert steps == list(range(10))


def test_one_process_keeps_its_order(loop):
    """Processes take turns in any order; what one of them has asked for comes in the order in which it asked."""
    seen: list[tuple[str, int]] = []

    async def work(who):
        for number in range(20):
            loop.call_soon(seen.append, (who, number))
        await asyncio.sleep(0)

    async def main():
        processes = [loop.process(name) for name in "abc"]
        for process in processes:
            process.start(work(process.name))
        for process in processes:
            await process.ended.wait()

    loop.run_until_complete(main())
    for who in "abc":
        assert [number for name, number in seen if name == who] == list(range(20))


def test_outside_is_out_of_reach(loop):
    """Threads are refused, and so is waiting for what nobody will ever do."""

    async def thread():
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="a thread was asked for"):
        loop.run_until_complete(thread())

    async def forever():
        await asyncio.Event().wait()

    task = loop.create_task(forever())
    with pytest.raises(StandStill):
        loop.run_until_complete(task)
