"""The short way through headers finds what nats-py's own finds; a wait that is cancelled ends."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from tests.waiting import eventually

from shoal.bus.nats_client import QuickClient, cancellable

RECORD = (
    b"Nats-Stream: SHOAL_STATE\r\nNats-Subject: shoal.launch.mm1.red.vm1\r\nNats-Sequence: 7\r\n"
    b"Nats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Last-Sequence: 5\r\nNats-Batch-Id: a-1\r\n\r\n"
)


def test_headers_of_a_record_are_found() -> None:
    """Names and values, without the white space around them."""
    found = QuickClient._parse_header_lines(RECORD)
    assert found["Nats-Subject"] == "shoal.launch.mm1.red.vm1"
    assert found["Nats-Time-Stamp"] == "2026-01-01T00:00:00Z"
    assert len(found) == 6
    assert found == Client._parse_header_lines(RECORD)


@given(st.lists(st.text(alphabet="ab:\r\n \tü\x00-", max_size=12).map(str.encode), max_size=6))
def test_it_agrees_with_nats_py(lines: list[bytes]) -> None:
    """Whatever comes: nats-py's way is the measure."""
    raw = b"\r\n".join(lines)
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


def test_nats_py_still_asks_for_it() -> None:
    """A nats-py that calls it by another name would silently be slow again."""
    assert "_parse_header_lines" in Client._process_headers.__code__.co_names


async def test_a_cancellation_that_comes_with_the_answer_is_not_lost() -> None:
    """`asyncio.wait_for` may return as if nothing had been; our waits do not."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        with cancellable():
            await asyncio.wait_for(answer, 60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    answer.set_result(None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_cancelled_before_is_no_cancellation() -> None:
    """A task that ends its work after it was cancelled may still wait."""
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with cancellable():
                await asyncio.sleep(0)
            ended.set()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


class Mute:
    """A server that takes connections and says nothing; the first of them may be served as NATS would, and hung up on."""

    def __init__(self, *, greets_first: bool) -> None:
        self.taken = 0
        #: connections that their other end has not closed
        self.open = 0
        self._greets_first = greets_first

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        self.open += 1
        try:
            if self._greets_first and self.taken == 1:
                writer.write(b'INFO {"server_id": "x", "version": "2.15.0", "max_payload": 1024}\r\n')
                await reader.readuntil(b"PING\r\n")
                writer.write(b"PONG\r\n")
                await writer.drain()
            else:
                with contextlib.suppress(OSError):
                    await reader.read()
        finally:
            self.open -= 1
            writer.close()


@pytest.mark.parametrize("greets_first", [False, True], ids=["connecting", "reconnecting"])
async def test_attempts_that_fail_leave_no_connection_open(greets_first: bool) -> None:
    """However often it has tried a server that says nothing, one connection at most is open, and none once it is closed."""
    mute = Mute(greets_first=greets_first)
    server = await asyncio.start_server(mute.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = QuickClient()

    async def ignore(_: Exception) -> None:
        """It is to fail."""

    async with server:
        connecting = asyncio.ensure_future(
            client.connect(
                f"nats://127.0.0.1:{port}",
                connect_timeout=0.2,
                reconnect_time_wait=0,
                max_reconnect_attempts=-1,
                error_cb=ignore,
            )
        )
        await eventually(lambda: _true(mute.taken >= 5), "five attempts")
        await eventually(lambda: _true(mute.open <= 1), "those before the last are closed")
        connecting.cancel()
        await asyncio.wait((connecting,))
        await client.close()
        await eventually(lambda: _true(mute.open == 0), "the last one is closed")
    assert client.is_closed


async def _true(value: bool) -> bool:
    return value
