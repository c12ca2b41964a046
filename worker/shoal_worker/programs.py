"""Runs programs of this host for `ns run shell` and `mesh send … shell`: a Protocol, the real thing, and its twin.

Refuses to know who asks, and shells: words are a program and its arguments, and are never joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from typing import Protocol

from shoal.errors import PermissionDenied, Refused

TIMEOUT_S = 60.0
#: what a program may print; the rest is read and dropped
MAX_BYTES = 64 * 1024


class Programs(Protocol):
    """The programs of one host."""

    async def run(self, words: Sequence[str]) -> str:
        """What the program prints. Refused when there is none, it fails, or takes longer than TIMEOUT_S seconds."""
        ...


class NoPrograms:
    """A host whose settings allow none."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def run(self, words: Sequence[str]) -> str:
        """Refuse."""
        raise PermissionDenied(
            f"cannot run `{' '.join(words)}` on host {self._host}: its worker does not allow it; "
            "start that one with --allow-shell"
        )


class SimulatedPrograms:
    """The twin: a simulated host has the programs `echo` and `false`, and runs nothing."""

    async def run(self, words: Sequence[str]) -> str:
        """Print the arguments of `echo`."""
        if words[0] == "echo":
            return " ".join(words[1:])
        if words[0] == "false":
            raise Refused("`false` ended with exit status 1")
        raise Refused(f'exec: "{words[0]}": executable file not found in $PATH')


class HostPrograms:
    """The programs of the machine."""

    async def run(self, words: Sequence[str]) -> str:
        """Run it in a session of its own, to its end."""
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise Refused(f'exec: "{words[0]}": executable file not found in $PATH') from None
        except (OSError, ValueError) as error:
            raise Refused(f'exec: "{words[0]}": {error}') from None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                text = await _printed(process)
                code = await process.wait()
        except BaseException as error:
            await _end(process)
            if isinstance(error, TimeoutError):
                raise Refused(f"`{words[0]}` did not end within {TIMEOUT_S:g} s, and was killed") from None
            raise
        if code:
            raise Refused(f"`{words[0]}` ended with exit status {code}", details=tuple(text.splitlines()))
        return text


async def _printed(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    kept = bytearray()
    dropped = 0
    while part := await process.stdout.read(MAX_BYTES):
        room = MAX_BYTES - len(kept)
        kept += part[:room]
        dropped += max(0, len(part) - room)
    text = kept.decode(errors="replace").strip()
    return f"{text}\n… cut: {dropped} bytes more" if dropped else text


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it, and what it has started in its session: that may live on without it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
