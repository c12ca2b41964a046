"""What writes packets on a simulated host, and its list on disk: twins that are slow and fail, and outlive the worker.

Refuses to know who wants packets, and where they go in the end.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection
from pathlib import PurePosixPath

from shoal.errors import Refused
from shoal_worker.capture_book import CaptureBook, Kept
from shoal_worker.packet_recorder import End, Recording
from shoal_worker.simulated_recorder import SimulatedRecorder

#: lets an operation take its time; True when there is no space left on the disk
Disk = Callable[[], Awaitable[bool]]


class SlowRecorder(SimulatedRecorder):
    """Takes time before and after the deed."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk

    def running(self) -> dict[str, Recording]:
        """The recordings that go on, by key."""
        return {PurePosixPath(each.path).stem: each for each in self._running.values()}

    def drafts(self) -> set[str]:
        """The keys of the files that are kept here."""
        return {PurePosixPath(path).stem for path in self.files}

    async def start(
        self, key: str, interface: str, *, path: str = "", snaplen: int = 0, expression: str = ""
    ) -> Recording:
        await self._disk()
        begun = await super().start(key, interface, path=path, snaplen=snaplen, expression=expression)
        await self._disk()
        return begun

    def watch(self, recording: Recording, ended: Callable[[], None]) -> None:
        # Its worker is told in its own time, if it lives then.
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def tell() -> None:
            loop.call_soon(ended, context=context)

        super().watch(recording, tell)

    async def end(self, recording: Recording) -> End:
        await self._disk()
        ended = await super().end(recording)
        await self._disk()
        return ended

    async def tidy(self, known: Collection[Recording]) -> list[Recording]:
        await self._disk()
        return await super().tidy(known)

    async def remove(self, recording: Recording) -> None:
        await self._disk()
        await super().remove(recording)


class DiskBook(CaptureBook):
    """A list that is written whole or not at all, if the worker lives so long and the disk has room."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What is on disk."""
        return self._kept

    async def write(self, kept: tuple[Kept, ...]) -> None:
        if await self._disk():
            raise Refused("cannot write the list of captures: no space left on device")
        await super().write(kept)
        await self._disk()
