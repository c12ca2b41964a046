"""What writes the packets of a link into a file: a Protocol, and the values that cross it.

This module refuses to know who wants the packets, and why. `tcpdump_recorder` is the real thing, `simulated_recorder`
its twin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol

import msgspec


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """A process that writes packets to `path`: its number and when it was started, which no other process shares.

    `started` is in clock ticks after boot (field 22 of stat, proc(5)). What it says is in the file `log`.
    """

    pid: int
    started: int
    path: str
    log: str = ""


class PacketRecorder(Protocol):
    """The recordings of one host. They go on when the worker ends. Refused tells what cannot be done, and why."""

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

    def runs(self, recording: Recording) -> bool:
        """Whether it goes on."""
        ...

    def watch(self, recording: Recording, ended: Callable[[], None]) -> None:
        """Call `ended`, on the event loop, when it is over."""
        ...

    async def end(self, recording: Recording) -> str:
        """End it, and wait until all is in its file. Returns what it said last; nothing happens if it is over."""
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
