"""`shell`: programs that the prompt runs."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import pytest
from tests.waiting import eventually

from shoal.cli.main import run_program
from shoal.errors import InvalidRequest


async def test_shell_runs_a_program() -> None:
    """`shell` prints what the program printed, on stdout and then on stderr, and does not use a shell."""
    assert await run_program(["echo", "hello  world", "$HOME"]) == "hello  world $HOME"
    assert await run_program(["bash", "-c", "echo out; echo err >&2"]) == "out\nerr"


async def test_shell_errors() -> None:
    """A missing program is told in minimega's words; one that fails is told with its status and output."""
    with pytest.raises(
        InvalidRequest, match=r'^exec: "no-such-program": executable file not found in \$PATH$'
    ):
        await run_program(["no-such-program"])
    with pytest.raises(InvalidRequest, match="ended with exit status 3") as caught:
        await run_program(["bash", "-c", "echo why; exit 3"])
    assert caught.value.details == ("why",)


async def test_giving_up_a_program_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when a program has ended, but what it started still has its output, gives it up and ends no prompt."""
    spawned: list[asyncio.subprocess.Process] = []
    spawn = asyncio.create_subprocess_exec

    async def spying(*program: str, **how: Any) -> asyncio.subprocess.Process:
        spawned.append(await spawn(*program, **how))
        return spawned[0]

    async def ended() -> bool:
        return bool(spawned) and spawned[0].returncode is not None

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spying)
    reading, writing = os.pipe()  # closed by the test: what reads it ends with the test
    running = asyncio.ensure_future(
        run_program(["sh", "-c", f"cat /proc/{os.getpid()}/fd/{reading} & exit 0"])
    )
    try:
        await eventually(ended, "the program has ended")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await asyncio.sleep(0)
        spawned.clear()
        del running
        gc.collect()  # which would complain of what is left open
    finally:
        os.close(writing)
        os.close(reading)
