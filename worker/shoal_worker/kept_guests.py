"""What outlives a simulated worker: its guests, in memory or, with `FileGuests`, in a file of the state directory.

Real guests outlive their worker's process as QEMUs; simulated ones as lines that are appended to a file, one for each
change. No fsync: they are to survive `kill -9`, and a power loss ends real guests as well. This module refuses to know
what guests do, and keeps no more of them than they are: drives plugged into them and images are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO

import msgspec

from shoal.messages.desired import Load
from shoal_worker.hypervisor import Guest, HypervisorError
from shoal_worker.simulated_endings import Ending

#: the file's name, below a host's state directory
GUESTS = "guests"
#: the file is written anew when it has this many lines, and four times as many as there are guests
_COMPACT_LINES = 1000
_COMPACT_FACTOR = 4
_FIRST_PID = 1000


class SimulatedGuests:
    """Guests by instance, and the load of domains that are not ours; what outlives the worker, not the process."""

    def __init__(self, *, foreign: Load | None = None) -> None:
        self.guests: dict[str, Guest] = {}
        self.alive: dict[str, str] = {}  # namespace/name → instance, for those that did not end
        self.foreign = foreign or Load()
        self.pids: Iterator[int] = count(_FIRST_PID)
        #: how guests will end by themselves, by instance
        self.endings: dict[str, Ending] = {}
        #: all that a guest remembers: how often it was resumed
        self.memory: dict[str, int] = {}
        #: small files of the cluster that are here, by SHA-256: guests go on from states among them
        self.content: dict[str, bytes] = {}

    def open(self) -> None:
        """There is nothing to read."""

    def note(self, instance: str) -> None:
        """A guest has changed, or is gone. HypervisorError when that cannot be kept."""

    def close(self) -> None:
        """There is nothing to let go of."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change: how a guest is now, or (only the instance) that it is gone."""

    instance: str
    guest: Guest | None = None
    memory: int = 0
    ending: Ending | None = None


class FileGuests(SimulatedGuests):
    """Guests that outlive the process. Whoever opens the file has to hold the journal's lock beside it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._file: IO[bytes] | None = None
        self._lines = 0
        #: a write failed half way: the file is written anew before anything is appended
        self._torn = False

    def open(self) -> None:
        """Read the guests that are there. HypervisorError when that is impossible."""
        try:
            if self._path.exists():
                for line in self._path.read_bytes().splitlines():
                    self._take(line)
            self._rewrite()
        except OSError as error:
            raise HypervisorError(
                f"cannot use {self._path} for simulated guests: {error.strerror or error}"
            ) from error
        self.alive = {f"{g.namespace}/{g.name}": g.instance for g in self.guests.values() if g.pid}
        self.pids = count(max((guest.pid + 1 for guest in self.guests.values()), default=_FIRST_PID))

    def note(self, instance: str) -> None:
        """Append how the guest is now."""
        try:
            if self._torn or self._lines > max(_COMPACT_LINES, _COMPACT_FACTOR * len(self.guests)):
                self._rewrite()
            else:
                self._append(self._line(instance))
        except OSError as error:
            self._torn = True
            raise HypervisorError(
                f"cannot write {self._path}, where simulated guests are kept: {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Let go; the guests stay."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _take(self, line: bytes) -> None:
        """Go on from a line; one that was cut off as the process was killed tells of what had not happened yet."""
        try:
            said = msgspec.json.decode(line, type=_Line)
        except msgspec.MsgspecError:
            return
        for kept in (self.guests, self.memory, self.endings):
            kept.pop(said.instance, None)
        if said.guest is not None:
            self.guests[said.instance] = said.guest
            self.memory[said.instance] = said.memory
            if said.ending is not None:
                self.endings[said.instance] = said.ending

    def _line(self, instance: str) -> bytes:
        line = _Line(
            instance=instance,
            guest=self.guests.get(instance),
            memory=self.memory.get(instance, 0),
            ending=self.endings.get(instance),
        )
        return msgspec.json.encode(line) + b"\n"

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return  # a guest that ends while nobody works here is found so by the next
        self._file.write(line)
        self._lines += 1

    def _rewrite(self) -> None:
        self.close()
        draft = self._path.with_name(f"{self._path.name}.new")
        draft.write_bytes(b"".join(map(self._line, self.guests)))
        draft.replace(self._path)
        # Unbuffered: a line is the kernel's before anyone is told what it says.
        self._file = self._path.open("ab", buffering=0)
        self._lines = len(self.guests)
        self._torn = False
