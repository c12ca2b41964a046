"""What to show on stderr while a command takes longer than a second.

This module refuses to know what the command is; it is told now and then how far it has come. Rich is imported
only when there is something to show.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TextIO

_PATIENCE_S = 1.0
_REDRAW_S = 0.1


@asynccontextmanager
async def progress_on(stream: TextIO) -> AsyncIterator[Callable[[int, int, str], None]]:
    """Show, for as long as the block runs and once it has run for a second, the text last given to the callback.

    On a terminal that is one line with a spinner, which disappears; elsewhere a line for each new text, one a second at
    most.
    """
    said: list[str] = []
    task = asyncio.create_task(_show(stream, said), name="progress")

    def say(done: int, total: int, text: str) -> None:
        told = f"{text} {done}/{total}" if total else text
        said[:] = [told] if told else []

    try:
        yield say
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _show(stream: TextIO, said: list[str]) -> None:
    await asyncio.sleep(_PATIENCE_S)
    if stream.isatty():
        await _spin(stream, said)
    shown: list[str] = []
    while True:
        if said and said != shown:
            print(f"… {said[-1]}", file=stream, flush=True)
            shown = said.copy()
        await asyncio.sleep(_PATIENCE_S)


async def _spin(stream: TextIO, said: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415  # 100 ms that most commands need not spend
    from rich.live import Live  # noqa: PLC0415  # the same
    from rich.spinner import Spinner  # noqa: PLC0415  # the same

    started = asyncio.get_running_loop().time() - _PATIENCE_S
    spinner = Spinner("dots")
    with Live(spinner, console=Console(file=stream), auto_refresh=False, transient=True) as live:
        while True:
            waited_s = asyncio.get_running_loop().time() - started
            spinner.update(text=f"{said[-1] if said else 'waiting for the cluster'} ({waited_s:.0f} s)")
            live.update(spinner, refresh=True)
            await asyncio.sleep(_REDRAW_S)
