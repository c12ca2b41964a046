"""What writes the packets of a link into a file: a Protocol, and the values that cross it.

This module refuses to know who wants the packets, and why. `tcpdump_recorder` is the real thing, `simulated_recorder`
its twin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from typing import NamedTuple, Protocol

import msgspec


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A process that writes packets to `path`: its number and when it was started, which no other process shares.

    `started` is in clock ticks after boot (field 22 of stat, proc(5)). What it says is in the file `log`.
    """

    pid: int
    started: int
    path: str
    log: str = ""


class End(NamedTuple):
    """How a recording ended: whether it went on until it was told to end, and what it said last."""

    ran: bool
    said: str


class PacketRecorder(Protocol):
    """The recordings of one host. They go on when the worker ends. Refused tells what cannot be done, and why."""

    async def tidy(self, known: Collection[Recording]) -> list[Recording]:
        """End recordings of ours that are not known, and remove drafts of others: a worker died with them unwritten.

        Returns those of the known ones whose file is there no more.
        """
        ...

    async def check(self, expression: str) -> None:
        """Raise InvalidRequest for a filter that is none (pcap-filter(7))."""
        ...

    async def start(
        self, key: str, interface: str, *, path: str = "", snaplen: int = 0, expression: str = ""
    ) -> Recording:
        """Record from now on: to `path` (absolute; a pcap that is there is replaced), or to a draft of our own.

        `key` is a plain name of its own. Returns when packets are being written. `snaplen` in bytes; 0: all.
        """
        ...

    def watch(self, recording: Recording, ended: Callable[[], None]) -> None:
        """Call `ended`, on the event loop, when it is over."""
        ...

    async def end(self, recording: Recording) -> End:
        """End it, and wait until all is in its file. Nothing happens if it is over."""
        ...

    async def rename(self, recording: Recording, path: str) -> None:
        """Give the file of a recording that is over another path."""
        ...

    def read(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """The content of its file, part by part."""
        ...

    async def remove(self, recording: Recording) -> None:
        """Remove what we keep of it: draft and log. A file at a path of the user's stays."""
        ...
