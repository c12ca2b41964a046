"""The list of a host's captures, on disk: a worker that was killed finds what it had begun.

Refuses to know what captures are for, and whether their processes still run. A list without a path is kept in memory
alone, as simulated hosts want it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec

from shoal.errors import Refused
from shoal.messages.capture_requests import Capture
from shoal_worker.packet_recorder import Recording


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A capture, and the process that writes it."""

    capture: Capture
    recording: Recording


class CaptureBook:
    """What was written down last. `path` None: nothing is on disk."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._kept: tuple[Kept, ...] = ()

    async def read(self) -> tuple[Kept, ...]:
        """The list as it was written last; empty where there is none. Refused when it cannot be read."""
        if self._path is None:
            return self._kept
        try:
            return await asyncio.to_thread(self._read, self._path)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Refused(f"cannot read the list of captures {self._path}: {error}; move it away") from error

    async def write(self, kept: tuple[Kept, ...]) -> None:
        """Write the list anew, whole or not at all; returns when it is on disk. Refused when that fails."""
        self._kept = kept
        if self._path is None:
            return
        try:
            await asyncio.to_thread(self._write, self._path, msgspec.json.encode(kept))
        except OSError as error:
            raise Refused(
                f"cannot write the list of captures {self._path}: {error.strerror or error}"
            ) from error

    @staticmethod
    def _read(path: Path) -> tuple[Kept, ...]:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(path.read_bytes(), type=tuple[Kept, ...])
        return ()

    @staticmethod
    def _write(path: Path, body: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        with draft.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
