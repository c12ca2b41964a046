"""The client of the small guest's serial line, against a guest that is a coroutine."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from shoal_worker.guest.console import ConsoleError, serial_console

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def guest(answers: dict[str, str], *, leave_after: int = 99) -> AsyncIterator[Path]:
    """A serial line that answers lines from a table, and closes after so many of them."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half a li")
        heard = 0
        while heard < leave_after and (line := (await reader.readline()).decode()):
            if command := line.strip():
                heard += 1
                writer.write(answers.get(command, "").encode())
        writer.close()

    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        path = Path(folder, "serial0.sock")
        server = await asyncio.start_unix_server(talk, path)
        async with server:
            yield path


async def test_questions_and_answers() -> None:
    """Each question gets the answer about its own address, whatever else is said and in whatever order."""
    answers = {
        "ask 10.0.0.1": "",
        "ask 10.0.0.10": "ne\nANSWER 10.0.0.10 red/vm10\r\nANSWER 10.0.0.1 red/vm1\n",
        "ask 10.0.0.3": "NOANSWER 10.0.0.30\nNOANSWER 10.0.0.3\n",
        "ping 10.0.0.1": "PONG 10.0.0.1\n",
        "ping 10.0.0.2": "NOPONG 10.0.0.2\n",
        "uptime": "UPTIME 17\n",
        "poweroff": "POWEROFF\n",
    }
    async with guest(answers) as path, serial_console(path) as console:
        found = await asyncio.gather(
            console.ask("10.0.0.1"),
            console.ask("10.0.0.10"),
            console.ask("10.0.0.3"),
            console.ping("10.0.0.1"),
            console.ping("10.0.0.2"),
        )
        assert list(found) == ["red/vm1", "red/vm10", None, True, False]
        assert await console.uptime_s() == 17
        await console.poweroff()


async def test_same_question_twice_at_once() -> None:
    """Two who ask the same at once both get the one answer."""
    async with guest({"ask 10.0.0.1": "\nANSWER 10.0.0.1 a/b\n"}) as path, serial_console(path) as console:
        found = await asyncio.gather(console.ask("10.0.0.1"), console.ask("10.0.0.1"))
        assert set(found) == {"a/b"}


async def test_no_answer_in_time() -> None:
    """A guest that says nothing is an error with socket and question, and the line can be used on."""
    async with guest({"uptime": "\nUPTIME 1\n"}) as path, serial_console(path) as console:
        with pytest.raises(
            ConsoleError, match=r"no answer to 'ask 10\.0\.0\.1' from .*serial0\.sock within 0 s"
        ):
            await console.ask("10.0.0.1", timeout_s=0.05)
        assert await console.uptime_s() == 1


async def test_line_that_closes() -> None:
    """When the guest goes away whoever waits for an answer hears of it at once."""
    async with guest({}, leave_after=1) as path, serial_console(path) as console:
        with pytest.raises(ConsoleError, match="was closed"):
            await console.ask("10.0.0.1")


async def test_nobody_listens(tmp_path: Path) -> None:
    """A socket that is not there is an error in one line that names it."""
    with pytest.raises(ConsoleError, match=r"cannot open the serial line .*nothing\.sock"):
        async with serial_console(tmp_path / "nothing.sock"):
            pass


async def test_long_link() -> None:
    """A link too long for a socket's address leads to the guest all the same."""
    async with guest({"uptime": "\nUPTIME 5\n"}) as path:
        link = path.parent / ("x" * 120)
        link.symlink_to(path)
        async with serial_console(link) as console:
            assert await console.uptime_s() == 5
