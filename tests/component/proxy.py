"""A TCP proxy before a NATS server, to be in the way: cut, deaf on one side, slow, or gone in the middle of a message."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Literal

#: `up` goes to the server, `down` to the client
Way = Literal["up", "down"]
_CHUNK = 16 * 1024


class Proxy:
    """Where one client, or several, find a server. All that is set holds for what passes from now on."""

    def __init__(self, target: str, rng: random.Random) -> None:
        host, _, port = target.removeprefix("nats://").rpartition(":")
        self._target = (host, int(port))
        self._rng = rng
        self.url = ""
        #: connections that were asked for
        self.asked = 0
        #: bytes that go these ways are taken, and go nowhere
        self.swallowed: set[Way] = set()
        self.is_cut = False
        #: each chunk waits for so long, and up to so much longer; one in `lost_one_in` waits for `again_s`, as TCP does
        #: that sends it once more
        self.delay_s = self.jitter_s = self.again_s = 0.0
        self.lost_one_in = 0
        #: told of each chunk; how many of its bytes still pass before the connection is cut, None: all and it stays
        self.cutting: Callable[[Way, bytes], int | None] = lambda *_: None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self.asked += 1
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            there, to = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to}
        ways = [
            asyncio.ensure_future(self._pass("up", reader, to)),
            asyncio.ensure_future(self._pass("down", there, writer)),
        ]
        self._tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        self._tasks.difference_update(ways)
        for end in (writer, to):
            end.transport.abort()
        self._open -= {writer, to}

    async def _pass(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                if self.delay_s or self.jitter_s:
                    await asyncio.sleep(self.delay_s + self._rng.uniform(0, self.jitter_s))
                if self.lost_one_in and not self._rng.randrange(self.lost_one_in):
                    await asyncio.sleep(self.again_s)
                if way in self.swallowed:
                    continue
                passed = self.cutting(way, chunk)
                writer.write(chunk if passed is None else chunk[:passed])
                await writer.drain()
                if passed is not None:
                    return

    def cut(self) -> None:
        """End all connections, and let none begin."""
        self.is_cut = True
        self.reset()

    def reset(self) -> None:
        """End all connections; the next ones are passed on."""
        for end in self._open:
            end.transport.abort()

    def mend(self) -> None:
        """Pass everything on again. Connections that lost something stay as they are, as their ends do not know."""
        self.is_cut = False
        self.swallowed = set()


@contextlib.asynccontextmanager
async def proxied(target: str, seed: int = 0) -> AsyncIterator[Proxy]:
    """Run a proxy before the server at a URL."""
    proxy = Proxy(target, random.Random(seed))
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await asyncio.gather(*serving, return_exceptions=True)
