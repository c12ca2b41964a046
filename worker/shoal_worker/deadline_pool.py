"""Runs blocking calls on a few threads of its own and gives up waiting when a deadline has passed.

This module refuses to know what the calls do. A thread that hangs stays lost: that is why there are few, and why
none is asyncio's. A call whose deadline passed before a thread took it up is never run.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from shoal_worker.hypervisor import HypervisorBusy

T = TypeVar("T")


class _Job(Generic[T]):
    """One call on its way through a thread; `state` is guarded by the lock."""

    def __init__(
        self, function: Callable[[], T], loop: asyncio.AbstractEventLoop, settled: Callable[[], None]
    ) -> None:
        self.function = function
        self.settled = settled
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.lock = threading.Lock()
        self.taken = False
        self.abandoned = False

    def abandon(self) -> bool:
        """Give up; True when no thread had taken the job up, so that it will never run."""
        with self.lock:
            self.abandoned = True
            never = not self.taken
        if never:
            self.settled()
        return never

    def run(self) -> None:
        with self.lock:
            if self.abandoned:
                return
            self.taken = True
        try:
            result = self.function()
        except BaseException as error:  # noqa: BLE001 - it belongs to the waiting task, whatever it is
            self._deliver(partial(self.future.set_exception, error))
        else:
            self._deliver(partial(self.future.set_result, result))

    def _deliver(self, settle: Callable[[], None]) -> None:
        def on_loop() -> None:
            self.settled()
            if not self.future.done():
                settle()

        # A loop that was closed meanwhile has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(on_loop)


class DeadlinePool:
    """A bounded number of daemon threads, started when they are first needed."""

    def __init__(self, threads: int, name: str) -> None:
        self._name = name
        self._threads = threads
        self._started = 0
        self._jobs: queue.SimpleQueue[_Job[object] | None] = queue.SimpleQueue()

    async def call(
        self,
        what: str,
        function: Callable[[], T],
        timeout_s: float,
        settled: Callable[[], None] = lambda: None,
    ) -> T:
        """Run `function` on a thread and return its result, or raise what it raised.

        Raises HypervisorBusy, which names `what`, after `timeout_s` seconds (waiting for a thread included). The
        function may then still be running. `settled` is called on the event loop once it is certain that it is not:
        just before the result is there, or when a hung call ends after all, or when it was never begun.
        """
        job = _Job(function, asyncio.get_running_loop(), settled)
        self._jobs.put(job)  # type: ignore[arg-type] # a queue of jobs of every result type
        if self._started < self._threads:
            self._started += 1
            thread = threading.Thread(target=self._work, name=f"{self._name}-{self._started}", daemon=True)
            thread.start()
        try:
            async with asyncio.timeout(timeout_s):
                return await job.future
        except TimeoutError:
            if job.future.cancelled():
                never = job.abandon()
                state = "no thread was free for it" if never else "it may still be done"
                raise HypervisorBusy(f"{what} did not end within {timeout_s:.0f} s: {state}") from None
            raise
        except asyncio.CancelledError:
            job.abandon()
            raise

    def close(self) -> None:
        """Let the threads end after what they are doing; none is waited for."""
        for _ in range(self._started):
            self._jobs.put(None)
        self._started = self._threads

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
