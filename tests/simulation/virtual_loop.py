"""An event loop whose time is made up: it jumps to the next timer as soon as nothing is left to do.

Refuses to know the outside: no sockets, no threads. What runs belongs to a process, which its context names; a
process may be paused (what it would do is held back) and killed (what it would do is never done, not even `finally`).
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import random
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

_START_S = 100_000.0
_TASKS_PRUNED = 512

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class StandStill(Exception):
    """Nothing will ever happen again."""


class Process:
    """What dies and sleeps together. `world` is the simulation itself, which does neither."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.dead = False
        self.paused = False
        #: what to do after so many steps; pauses and crashes fall between any two of them that way
        self.after: tuple[int, Callable[[], None]] | None = None
        self.held: list[asyncio.Handle] = []
        self.tasks: dict[int, Task[Any]] = {}
        self.ended = asyncio.Event()
        self.error: BaseException | None = None
        self._loop = loop
        self._main: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin. `ended` is set when the work has ended, or the process was killed."""
        self._context = context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        self._main = task = self._loop.create_task(work, name=self.name, context=context)
        task.add_done_callback(self._note_end, context=contextvars.copy_context())

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.error = task.exception()
        self.ended.set()

    def call(self, callback: Callable[[], object]) -> None:
        """Have it do something, as a signal does."""
        if self._main is not None:
            self._loop.call_soon(callback, context=self._context)

    def kill(self) -> None:
        """`kill -9`: no step of it is ever done again."""
        self.dead = True
        self.held.clear()
        self.after = None
        self.ended.set()

    def pause(self) -> None:
        """SIGSTOP."""
        self.paused = True

    def resume(self) -> None:
        """SIGCONT: what was held back comes now."""
        self.paused = False
        held, self.held = self.held, []
        for handle in held:
            self._loop.again(self, handle)

    def living(self) -> list[Task[Any]]:
        """The tasks that have not ended."""
        return [task for task in self.tasks.values() if not task.done()]

    def keep(self, task: Task[Any]) -> None:
        """Hold a task: what a dead process was doing must not be tidied up while others live."""
        self.tasks[task.number] = task
        if len(self.tasks) % _TASKS_PRUNED == 0:
            self.tasks = {number: each for number, each in self.tasks.items() if not each.done()}


class Task(asyncio.Task[T]):
    """A task whose place in a set does not hang on its address."""

    def __init__(self, coro: Any, *, number: int, **more: Any) -> None:
        self.number = number
        super().__init__(coro, **more)

    def __hash__(self) -> int:
        return self.number


PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class VirtualLoop(asyncio.BaseEventLoop):
    """See above. `rng` decides in which order processes take their turns."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._now = _START_S
        self._turns: deque[tuple[Process, asyncio.Handle]] = deque()
        self._timers: list[tuple[float, int, Process, asyncio.TimerHandle]] = []
        self._order = count()
        self._numbers = count(1)
        #: steps that were done
        self.steps = 0
        self.processes: list[Process] = []
        self.complaints: list[dict[str, Any]] = []
        self.world = Process("world", self)
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _, context: self.complaints.append(context))

    def process(self, name: str) -> Process:
        """A new process."""
        process = Process(name, self)
        self.processes.append(process)
        return process

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        **more: Any,
    ) -> Task[T]:
        task: Task[T] = Task(coro, number=next(self._numbers), loop=loop, **more)
        context = more.get("context")
        (context.get(PROCESS, self.world) if context is not None else self._process()).keep(task)
        return task

    def _process(self) -> Process:
        return PROCESS.get(self.world)

    # --- what asyncio calls ------------------------------------------------------------------------------

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """In its process' next turn."""
        handle = asyncio.Handle(callback, args, self, context)
        process = self._process() if context is None else context.get(PROCESS, self.world)
        self._turns.append((process, handle))
        return handle

    # nobody else is there
    call_soon_threadsafe = call_soon

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """At a time."""
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        process = self._process() if context is None else context.get(PROCESS, self.world)
        heapq.heappush(self._timers, (when, next(self._order), process, timer))
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """After a while."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is dropped when its time comes."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Threads have no place here: what would run in one is code that the simulation must not reach."""
        del executor
        raise RuntimeError(f"a thread was asked for, by {func!r} with {args!r}: nothing here may use one")

    def again(self, process: Process, handle: asyncio.Handle) -> None:
        """Do what was held back."""
        self._turns.append((process, handle))

    # --- turning -----------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        timers = self._timers
        if not self._turns:
            while timers and timers[0][3].cancelled():
                heapq.heappop(timers)
            if not timers:
                raise StandStill
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            _, _, process, timer = heapq.heappop(timers)
            if not timer.cancelled():
                self._turns.append((process, timer))
        if len(self._turns) == 1:
            self._step(*self._turns.popleft())
            return
        turns = list(self._turns)
        self._turns.clear()
        for process, handle in self._shuffled(turns):
            self._step(process, handle)

    def _shuffled(self, turns: list[tuple[Process, asyncio.Handle]]) -> list[tuple[Process, asyncio.Handle]]:
        """Processes in any order; what one of them does keeps the order that asyncio promises."""
        of: dict[Process, list[tuple[Process, asyncio.Handle]]] = {}
        for turn in turns:
            of.setdefault(turn[0], []).append(turn)
        if len(of) < 2:
            return turns
        order = list(of.values())
        self._rng.shuffle(order)
        return [turn for each in order for turn in each]

    def _step(self, process: Process, handle: asyncio.Handle) -> None:
        if process.dead or handle.cancelled():
            return
        if process.paused:
            process.held.append(handle)
            return
        self.steps += 1
        handle._run()
        if process.after is not None:
            left, act = process.after
            process.after = (left - 1, act)
            if left <= 1:
                process.after = None
                act()

    # --- the end -----------------------------------------------------------------------------------------

    def bury(self) -> None:
        """Take apart what dead processes had begun, now that nothing can come of it. After the loop was closed."""
        with warnings.catch_warnings():
            # Some of it had not begun when its process died.
            warnings.simplefilter("ignore", RuntimeWarning)
            self._turns.clear()
            self._timers.clear()
            for process in (*self.processes, self.world):
                process.held.clear()
                for task in process.living():
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task.get_coro())
                process.tasks.clear()


def _close(coroutine: Any) -> None:
    """End it where it stands; what its `finally` awaits cannot be had any more."""
    for _ in range(20):
        with contextlib.suppress(BaseException):
            coroutine.close()
            return
