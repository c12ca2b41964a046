"""What a call of the client gives back: something to await, or to iterate over first.

Refuses to know how a command is sent. Both classes are coroutines too, so that `asyncio.create_task` takes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, TypeVar

from shoal.messages.base import Progress

T = TypeVar("T")
R = TypeVar("R")

#: called with (done, total, text) while a command is being carried out
ProgressCallback = Callable[[int, int, str], None]


class _Pending(Coroutine[Any, Any, R]):
    """A coroutine in another coat. Python warns, as of any coroutine, when it is never awaited."""

    def __init__(self, coroutine: Coroutine[Any, Any, R]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, R]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        """Let it go on; for the event loop."""
        return self._coroutine.send(value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        trace: TracebackType | None = None,
        /,
    ) -> Any:
        """Let it go on with an error; for the event loop."""
        if isinstance(kind, BaseException):
            return self._coroutine.throw(kind)
        return self._coroutine.throw(kind, value, trace)  # pragma: no cover  (the form before Python 3.12)

    def close(self) -> None:
        """Give it up, if it was not begun."""
        self._coroutine.close()


class _Steps:
    """The latest step of a command that nobody took yet. No part of the command: a cycle would put off the warning."""

    def __init__(self) -> None:
        self.latest: Progress | None = None
        self.news = asyncio.Event()

    def note(self, done: int, total: int, text: str) -> None:
        self.latest = Progress(done=done, total=total, text=text)
        self.news.set()

    def take(self) -> Progress | None:
        self.news.clear()
        step, self.latest = self.latest, None
        return step


class Command(_Pending[R]):
    """A command on its way.

    `await` it for its reply. Or iterate with `async for` over its progress first, and await it then; the loop raises what
    the command failed with. Steps that nobody took are folded into the latest. Who leaves the loop early, or cancels
    the wait, gives up listening: the command itself is carried out.
    """

    def __init__(self, run: Callable[[ProgressCallback], Coroutine[Any, Any, R]]) -> None:
        self._steps = _Steps()
        super().__init__(run(self._steps.note))
        self._task: asyncio.Task[R] | None = None

    def __await__(self) -> Generator[Any, Any, R]:
        return super().__await__() if self._task is None else self._task.__await__()

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """Each step that is heard of, while it is being carried out."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._coroutine)
            self._task.add_done_callback(lambda _: self._steps.news.set())
        while True:
            await self._steps.news.wait()
            if (step := self._steps.take()) is not None:
                yield step
            if self._task.done():
                break
        self._task.result()


class Listing(_Pending[list[T]]):
    """Rows of the cluster. `async for` fetches them page by page, as they are needed; `await` gives all, as a list."""

    def __init__(self, rows: Callable[[], AsyncIterator[T]]) -> None:
        super().__init__(_all(rows))
        self._rows = rows

    def __aiter__(self) -> AsyncIterator[T]:
        self._coroutine.close()
        return self._rows()


async def _all(rows: Callable[[], AsyncIterator[T]]) -> list[T]:
    return [row async for row in rows()]
