"""The captures of one host: begun when asked for, ended when asked for or when their link goes, kept until collected.

Refuses to know how packets are written, and who names what a capture comes to. What is listed is on disk before it is
said to be, so that the next worker of the host goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Any

from msgspec.structs import replace

from shoal.core.files import partial_name
from shoal.errors import Conflict, ShoalError
from shoal.messages.capture_requests import Capture
from shoal_worker.capture_book import CaptureBook, Kept
from shoal_worker.packet_recorder import PacketRecorder

#: anybody may write there as often as they like
_NOWHERE = "/dev/null"
_DIED = "tcpdump is gone"


class Captures:
    """The captures of one host, by id."""

    def __init__(self, recorder: PacketRecorder, book: CaptureBook, log: Any) -> None:
        self.recorder = recorder
        self._book = book
        self._log = log
        self._kept: dict[str, Kept] = {}
        #: those that are told to end: their end is not taken for their death
        self._ending: set[str] = set()
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Find again what an earlier worker of this host has begun. Refused when its list cannot be read."""
        for kept in await self._book.read():
            self._kept[kept.capture.id] = kept
        lost = await self.recorder.tidy([kept.recording for kept in self._kept.values()])
        for key, kept in list(self._kept.items()):
            if kept.capture.state == "ended" and not kept.capture.path and kept.recording in lost:
                # Its content has its name: there was no room to write down that it was forgotten.
                del self._kept[key]
            if kept.capture.state == "running":
                self._watch(kept)

    def _watch(self, kept: Kept) -> None:
        key = kept.capture.id
        self.recorder.watch(kept.recording, lambda: self._over(key))

    def _over(self, key: str) -> None:
        """A recording is over: it died, unless it was told to end."""
        kept = self._kept.get(key)
        if kept is not None and kept.capture.state == "running" and key not in self._ending:
            self._log.warning("capture-died", capture=key, interface=kept.capture.interface)
            self._kept[key] = replace(kept, capture=replace(kept.capture, state="died", reason=_DIED))

    # --- what there is -----------------------------------------------------------------------------------

    def listed(self) -> tuple[Capture, ...]:
        """All of them."""
        return tuple(kept.capture for kept in self._kept.values())

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._kept)

    @property
    def ended(self) -> int:
        """How many are over and wait to be collected."""
        return sum(kept.capture.state == "ended" for kept in self._kept.values())

    def waiting(self) -> list[Kept]:
        """Those that wait to be collected."""
        return [kept for kept in self._kept.values() if kept.capture.state == "ended"]

    # --- what is done ------------------------------------------------------------------------------------

    async def start(self, capture: Capture) -> None:
        """Begin a capture, once however often it is asked for.

        Conflict when another one writes to its path; Refused when it cannot be.
        """
        async with self._lock:
            if capture.id in self._kept:
                return  # the question came twice
            path = capture.path
            if path and path != _NOWHERE and any(kept.capture.path == path for kept in self._kept.values()):
                raise Conflict(
                    f"cannot capture to {path}: another capture on this host writes to it", names=(path,)
                )
            recording = await self.recorder.start(
                capture.id,
                capture.interface,
                path=path,
                snaplen=capture.snaplen,
                expression=capture.filter,
            )
            kept = Kept(capture=capture, recording=recording)
            self._kept[capture.id] = kept
            try:
                await self._write()
            except BaseException:
                del self._kept[capture.id]
                await self.recorder.end(recording)
                await self.recorder.remove(recording)
                raise
            self._watch(kept)

    async def end(self, ids: Collection[str]) -> list[Kept]:
        """End these; returns those of them that wait to be collected now. One at the user's path does not."""
        async with self._lock:
            await self._end([key for key in ids if key in self._kept])
            return [self._kept[key] for key in ids if key in self._kept]

    async def _end(self, keys: Iterable[str]) -> None:
        chosen = [key for key in keys if self._kept[key].capture.state != "ended"]
        if not chosen:
            return
        await asyncio.gather(*(self._end_one(key) for key in chosen))
        await self._write()

    async def _end_one(self, key: str) -> None:
        kept = self._kept[key]
        self._ending.add(key)
        try:
            ran, said = await self.recorder.end(kept.recording)
        finally:
            self._ending.discard(key)
        # Now, when all is in its file: what has ended may be collected.
        partial = kept.capture.state == "died" or not ran
        ended = replace(kept.capture, state="ended", partial=partial)
        self._kept[key] = replace(kept, capture=replace(ended, reason=said or _DIED) if partial else ended)
        self._log.info("capture-ended", capture=key, interface=kept.capture.interface, said=said)
        path = kept.capture.path
        if partial and path and path != _NOWHERE:
            folder = PurePosixPath(path).parent
            await self._renamed(kept, str(folder / partial_name(PurePosixPath(path).name)))

    async def _renamed(self, kept: Kept, path: str) -> None:
        try:
            await self.recorder.rename(kept.recording, path)
        except ShoalError as error:
            self._log.warning("partial-capture-not-renamed", path=kept.capture.path, error=error.message)

    async def forget(self, ids: Iterable[str]) -> None:
        """Forget captures that are over, and the drafts of their content."""
        async with self._lock:
            over = [self._kept[key] for key in ids if key in self._kept]
            over = [kept for kept in over if kept.capture.state == "ended"]
            for kept in over:
                del self._kept[kept.capture.id]
            if not over:
                return
            try:
                await self._write()
            finally:
                # Also when the disk is full: it may be full of just these.
                for kept in over:
                    await self.recorder.remove(kept.recording)

    async def _write(self) -> None:
        await self._book.write(tuple(self._kept.values()))

    # --- what links do -----------------------------------------------------------------------------------

    async def leave(self, interfaces: Collection[str]) -> None:
        """These links are about to be removed: their captures end, whole."""
        if not self._of(interfaces):
            return  # a capture that begins elsewhere may have the lock for long
        try:
            async with self._lock:
                await self._end(self._of(interfaces))
        except ShoalError as error:
            self._log.error("captures-not-ended", error=error.message)

    async def missing(self, present: Collection[str]) -> None:
        """Only these links are there: captures of others that have died are over."""
        dead = {kept.capture.interface for kept in self._kept.values() if kept.capture.state == "died"}
        if dead := dead.difference(present):
            await self.leave(dead)

    def _of(self, interfaces: Collection[str]) -> list[str]:
        return [key for key, kept in self._kept.items() if kept.capture.interface in interfaces]
