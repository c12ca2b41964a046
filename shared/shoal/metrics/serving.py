"""Answers `GET /metrics` from the event loop: as much HTTP as a scrape needs, and no more.

Refuses to know what is measured. A connection has one request, ten seconds and eight kilobytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple

from shoal.errors import InvalidRequest, ShoalError
from shoal.metrics.protocol import NOBODY, Metric, Metrics
from shoal.metrics.recorder import Recorder

PATH = "/metrics"
_DEADLINE_S = 10.0
_MAX_HEAD = 8 * 1024
_TEXT = "text/plain; charset=utf-8"


class Address(NamedTuple):
    """Where to listen. Port 0: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, with an IPv6 address in brackets. Raises InvalidRequest."""
    host, colon, digits = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    port = int(digits) if digits.isascii() and digits.isdigit() else -1
    if not host or not colon or not 0 <= port < 1 << 16:
        raise InvalidRequest(
            f"invalid address for metrics `{text}`: expected HOST:PORT, such as 127.0.0.1:9640"
        )
    return Address(host, port)


@contextlib.asynccontextmanager
async def metrics_on(
    address: Address | None, catalogue: Sequence[Metric], log: Any
) -> AsyncIterator[Metrics]:
    """What to tell of; with an address, scrapes of it are answered there for as long as the block runs.

    Raises ShoalError when prometheus-client is missing, or nothing can listen at that address.
    """
    if address is None:
        yield NOBODY
        return
    try:
        from shoal.metrics.exposition import Expose, exposition_of  # noqa: PLC0415  # an extra of its own
    except ModuleNotFoundError as error:
        raise ShoalError(
            f"cannot serve metrics on {address}: {error.name} is missing; `pip install 'shoal[metrics]'`"
        ) from error
    recorder = Recorder(catalogue)
    expose: Expose = exposition_of(recorder)
    try:
        server = await asyncio.start_server(
            lambda reader, writer: _answer(expose, reader, writer),
            address.host,
            address.port,
            limit=_MAX_HEAD,
        )
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ShoalError(
            f"cannot serve metrics on {address}: {why}; give --metrics (SHOAL_METRICS) another HOST:PORT"
        ) from error
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        log.info("metrics-served", url=f"http://{Address(host, port)}{PATH}")
        yield recorder


async def _answer(expose: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request, and close. Whoever asks for nonsense, or slowly, is no concern of the daemon."""
    with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        try:
            async with asyncio.timeout(_DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(expose, head.decode("latin-1")))
                await writer.drain()
        finally:
            writer.close()


def _response(expose: Any, head: str) -> bytes:
    request, *fields = head.split("\r\n")
    method, _, rest = request.partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in ("GET", "HEAD"):
        return _message("405 Method Not Allowed", b"only GET\n", _TEXT)
    if path != PATH:
        return _message("404 Not Found", f"metrics are at {PATH}\n".encode(), _TEXT)
    headers = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    body, content_type = expose(headers.get("accept", ""))
    return _message("200 OK", body, content_type, headers_only=method == "HEAD")


def _message(status: str, body: bytes, content_type: str, *, headers_only: bool = False) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() if headers_only else head.encode() + body
