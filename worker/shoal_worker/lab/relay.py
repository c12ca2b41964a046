"""Passes TCP connections on from a socket of another network namespace: `… --fd N --to ADDRESS:PORT`.

The listening socket N was opened by whoever starts the relay, in the machine's own namespace; the relay runs in the
head's and connects there. So the head's NATS server is reachable at 127.0.0.1 of the machine. A relay refuses to
know what passes through it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 256 * 1024


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until one side has no more; the other direction goes on."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def relay(listening: socket.socket, host: str, port: int) -> None:
    """Serve until cancelled. A connection whose other side is refused is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(host, port)
        except OSError:
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    server = await asyncio.start_server(serve, sock=listening)
    async with server:
        await server.serve_forever()


async def _main(fd: int, host: str, port: int) -> None:
    task = asyncio.ensure_future(relay(socket.socket(fileno=fd), host, port))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main(arguments: Sequence[str] | None = None) -> None:
    """Relay until a signal ends it."""
    parser = argparse.ArgumentParser(
        prog="shoal_worker.lab.relay", description="Relays TCP between namespaces."
    )
    parser.add_argument("--fd", type=int, required=True, help="an inherited listening socket")
    parser.add_argument("--to", required=True, metavar="ADDRESS:PORT", help="where to connect")
    found = parser.parse_args(arguments)
    host, _, port = found.to.rpartition(":")
    asyncio.run(_main(found.fd, host, int(port)))


if __name__ == "__main__":
    main()
