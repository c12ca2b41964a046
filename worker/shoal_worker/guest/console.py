"""Speaks with the small guest over its serial line, a unix socket that QEMU listens on for one client at a time.

Each command has its own answer line, so answers may come in any order and many may be awaited at once.
This module refuses to know libvirt and where sockets are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

#: longer than the guest itself waits for another one (3 s), since a busy host makes everything slow
ANSWER_TIMEOUT_S = 30.0


class ConsoleError(Exception):
    """The guest's serial line cannot be used, or no answer came. One line: which socket, what was asked."""


class SerialConsole:
    """An open serial line of a small guest; made by `serial_console`."""

    def __init__(self, path: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._waiting: dict[tuple[str, ...], asyncio.Future[str]] = {}

    async def ask(self, address: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> str | None:
        """Let the guest ask the guest at `address` who it is: its `namespace/name`, None without an answer."""
        found = await self._answer(f"ask {address}", (f"ANSWER {address}", f"NOANSWER {address}"), timeout_s)
        return found.split(" ", 2)[2] if found.startswith("ANSWER ") else None

    async def ping(self, address: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
        """Let the guest ping an address once."""
        found = await self._answer(f"ping {address}", (f"PONG {address}", f"NOPONG {address}"), timeout_s)
        return found.startswith("PONG ")

    async def uptime_s(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> int:
        """Seconds since the guest's kernel started, by the guest's own clock."""
        return int((await self._answer("uptime", ("UPTIME",), timeout_s)).split()[1])

    async def poweroff(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Let the guest turn itself off; returns when it has heard, for what is unread when we leave is lost."""
        await self._answer("poweroff", ("POWEROFF",), timeout_s)

    async def _say(self, command: str) -> None:
        # The empty line ends what an earlier client may have left half-said.
        self._writer.write(f"\n{command}\n".encode())
        try:
            await self._writer.drain()
        except OSError as error:
            raise ConsoleError(
                f"cannot say {command!r} to {self._path}: {error.strerror or error}"
            ) from error

    async def _answer(self, command: str, beginnings: tuple[str, ...], timeout_s: float) -> str:
        """Send a command and wait for a line that is, or begins with, one of `beginnings`.

        The same question asked twice at once gets one answer for both.
        """
        future = self._waiting.get(beginnings)
        if future is None:
            future = self._waiting[beginnings] = asyncio.get_running_loop().create_future()
            await self._say(command)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(future)
        except TimeoutError:
            raise ConsoleError(
                f"no answer to {command!r} from {self._path} within {timeout_s:.0f} s"
            ) from None
        finally:
            if self._waiting.get(beginnings) is future:
                del self._waiting[beginnings]

    async def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while raw := await self._reader.readline():
                self._hear(raw.decode(errors="replace").strip())
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConsoleError(f"the serial line {self._path} was closed"))

    def _hear(self, line: str) -> None:
        for beginnings, future in self._waiting.items():
            if not future.done() and any(line == text or line.startswith(f"{text} ") for text in beginnings):
                future.set_result(line)


@contextlib.asynccontextmanager
async def serial_console(path: Path, *, timeout_s: float = 10.0) -> AsyncIterator[SerialConsole]:
    """Open the serial line at `path`, a socket or a link to one. Raises ConsoleError when nobody listens there.

    While another client is connected QEMU lets us connect, and neither hears nor answers until that one has left.
    """
    try:
        # A link's path may be longer than a socket's address can be (107 bytes); where it leads is shorter.
        resolved = await asyncio.to_thread(path.resolve)
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(resolved))
    except (OSError, TimeoutError) as error:
        raise ConsoleError(f"cannot open the serial line {path}: {error}") from error
    console = SerialConsole(path, reader, writer)
    listener = asyncio.create_task(console._listen())  # noqa: SLF001 - two halves of one thing
    try:
        yield console
    finally:
        listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listener
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
