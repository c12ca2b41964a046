"""Passes TCP connections on from a socket of another network namespace: `… --fd N --to ADDRESS:PORT …`.

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


async def relay(listening: socket.socket, places: Sequence[tuple[str, int]]) -> None:
    """Serve until cancelled, each connection from the first place that takes it. One that none takes is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for host, port in places:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(host, port)
                break
        else:
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


async def _main(fd: int, places: Sequence[tuple[str, int]]) -> None:
    task = asyncio.ensure_future(relay(socket.socket(fileno=fd), places))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def main(arguments: Sequence[str] | None = None) -> None:
    """Relay until a signal ends it."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="shoal_worker.lab.relay", description="Relays TCP between namespaces."
    )
    parser.add_argument("--fd", type=int, required=True, help="an inherited listening socket")
    parser.add_argument(
        "--to",
        required=True,
        action="append",
        metavar="ADDRESS:PORT",
        help="where to connect; the first that answers",
    )
    found = parser.parse_args(arguments)
    places = [(host, int(port)) for host, _, port in (place.rpartition(":") for place in found.to)]
    asyncio.run(_main(found.fd, places))


if __name__ == "__main__":
    main()
