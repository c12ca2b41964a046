"""Blocking calls with deadlines."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from shoal_worker.deadline_pool import DeadlinePool
from shoal_worker.hypervisor import HypervisorBusy


@pytest.fixture
def pool() -> Iterator[DeadlinePool]:
    found = DeadlinePool(2, "test")
    yield found
    found.close()


async def test_result_and_error_come_back(pool: DeadlinePool) -> None:
    """A call gives what its function returned or raised, a TimeoutError of its own included."""
    assert await pool.call("work", lambda: threading.current_thread().name, 5) == "test-1"

    def fail() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await pool.call("work", fail, 5)


async def test_hung_call_is_given_up(pool: DeadlinePool) -> None:
    """A call that hangs ends with HypervisorBusy at its deadline, and is settled only when it ended after all."""
    hang = threading.Event()
    settled = asyncio.Event()
    with pytest.raises(HypervisorBusy, match="sleeping did not end within 0 s: it may still be done"):
        await pool.call("sleeping", hang.wait, 0.05, settled=settled.set)
    assert await pool.call("other work", lambda: 1, 5) == 1, "other threads go on"
    assert not settled.is_set()
    hang.set()
    await asyncio.wait_for(settled.wait(), 5)


async def test_late_call_is_never_run(pool: DeadlinePool) -> None:
    """A call whose deadline passed while all threads were busy is not run later, and is settled at once."""
    hang = threading.Event()
    ran: list[int] = []
    settled: list[int] = []
    blockers = [asyncio.create_task(pool.call("blocking", hang.wait, 30)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(HypervisorBusy, match="no thread was free"):
        await pool.call("late work", lambda: ran.append(1), 0.05, settled=lambda: settled.append(1))
    assert settled == [1]
    hang.set()
    await asyncio.gather(*blockers)
    await pool.call("work", lambda: None, 5)
    assert ran == []


async def test_success_is_settled_before_the_result(pool: DeadlinePool) -> None:
    """Whoever has the result can rely on `settled` having been called."""
    settled: list[int] = []
    assert await pool.call("work", lambda: 1, 5, settled=lambda: settled.append(1)) == 1
    assert settled == [1]


async def test_cancelled_call(pool: DeadlinePool) -> None:
    """A caller that is cancelled while its call waits for a thread takes it with it."""
    hang = threading.Event()
    ran: list[int] = []
    blockers = [asyncio.create_task(pool.call("blocking", hang.wait, 30)) for _ in range(2)]
    waiting = asyncio.create_task(pool.call("work", lambda: ran.append(1), 30))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    hang.set()
    await asyncio.gather(*blockers)
    await pool.call("work", lambda: None, 5)
    assert ran == []
