"""What a worker must still know after `kill -9`: its incarnation, and what it has carried out.

Refuses to know what outcomes mean. The journal is a file to which lines are appended, each with a checksum; one
fsync for each batch, on a thread of its own. A damaged tail (power loss in mid-write) costs that tail: what it
said is observed again. `MemoryJournal` is the twin for simulations.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Protocol

import msgspec

from shoal.messages.desired import LaunchRecord, TapRecord
from shoal_worker.core.actions import Outcome, TapOutcome, VMKey
from shoal_worker.core.leaders import Seen

#: the log is written anew when it is this many lines long, and four times what is worth keeping
_COMPACT_LINES = 1000
_COMPACT_FACTOR = 4


class JournalError(Exception):
    """The state directory cannot be used, or written. One line: what, where and why."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: exactly one of these. `record` and `tap_record` are kept for a store that is lost, not to be acted on."""

    vm: Outcome | None = None
    forget: str = ""
    tap: TapOutcome | None = None
    forget_tap: VMKey | None = None
    seen: Seen | None = None
    record: LaunchRecord | None = None
    tap_record: TapRecord | None = None


class Journal(Protocol):
    """The worker's memory. What is put is known at once and on disk after `flush`."""

    incarnation: str
    seen: Seen

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """By instance."""
        ...

    @property
    def taps(self) -> Mapping[VMKey, TapOutcome]:
        """By (namespace, tap)."""
        ...

    @property
    def records(self) -> Mapping[str, LaunchRecord]:
        """The last record of each instance that is not gone."""
        ...

    @property
    def tap_records(self) -> Mapping[VMKey, TapRecord]:
        """The last record of each tap that is not gone."""
        ...

    async def open(self) -> None:
        """Read what is there. JournalError when that is impossible, or when another worker has it."""
        ...

    def put(self, entry: Entry) -> None:
        """Take note."""
        ...

    async def flush(self) -> None:
        """Wait until everything put so far is on disk. JournalError when it cannot be written."""
        ...

    async def close(self) -> None:
        """Flush and let go."""
        ...


class MemoryJournal:
    """A journal that outlives the worker, not the process."""

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self.seen = Seen()
        self._outcomes: dict[str, Outcome] = {}
        self._taps: dict[VMKey, TapOutcome] = {}
        self._records: dict[str, LaunchRecord] = {}
        self._tap_records: dict[VMKey, TapRecord] = {}

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """By instance."""
        return self._outcomes

    @property
    def taps(self) -> Mapping[VMKey, TapOutcome]:
        """By (namespace, tap)."""
        return self._taps

    @property
    def records(self) -> Mapping[str, LaunchRecord]:
        """By instance."""
        return self._records

    @property
    def tap_records(self) -> Mapping[VMKey, TapRecord]:
        """By (namespace, tap)."""
        return self._tap_records

    async def open(self) -> None:
        """There is nothing to read."""

    def put(self, entry: Entry) -> None:
        """Take note."""
        if entry.vm is not None:
            self._outcomes[entry.vm.instance] = entry.vm
            if entry.vm.gone:
                self._records.pop(entry.vm.instance, None)
        if entry.forget:
            self._outcomes.pop(entry.forget, None)
            self._records.pop(entry.forget, None)
        if entry.tap is not None:
            self._taps[entry.tap.namespace, entry.tap.tap] = entry.tap
            if entry.tap.gone:
                self._tap_records.pop((entry.tap.namespace, entry.tap.tap), None)
        if entry.forget_tap is not None:
            self._taps.pop(entry.forget_tap, None)
        if entry.record is not None:
            self._records[entry.record.instance] = entry.record
        if entry.tap_record is not None:
            self._tap_records[entry.tap_record.namespace, entry.tap_record.tap] = entry.tap_record
        if entry.seen is not None:
            self.seen = entry.seen

    async def flush(self) -> None:
        """There is no disk."""

    async def close(self) -> None:
        """There is nothing to let go of."""

    def entries(self) -> list[Entry]:
        """Everything that is worth keeping."""
        kept = [Entry(vm=outcome) for outcome in self._outcomes.values()]
        kept += [Entry(tap=outcome) for outcome in self._taps.values()]
        kept += [Entry(record=record) for record in self._records.values()]
        kept += [Entry(tap_record=record) for record in self._tap_records.values()]
        return [*kept, Entry(seen=self.seen)] if self.seen.store else kept


class FileJournal(MemoryJournal):
    """A journal in a directory: `incarnation`, `journal` and a lock, so that no two workers share it.

    Many in one process may share a `thread`: an executor with one worker, which is theirs to keep.
    """

    def __init__(
        self, directory: Path, new_incarnation: Callable[[], str], thread: ThreadPoolExecutor | None = None
    ) -> None:
        super().__init__("")
        self._directory = directory
        self._new_incarnation = new_incarnation
        self._shared = thread
        self._thread = thread or ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._lock: IO[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._lines = 0
        self._pending: list[Entry] = []
        #: a write failed half way: the log is written anew before anything is appended
        self._torn = False
        #: lines that were skipped when the log was read
        self.damaged = 0

    async def open(self) -> None:
        """Read the log, write it anew without what is obsolete or damaged, and lock the directory."""
        try:
            await self._run(self._open)
        except OSError as error:
            raise JournalError(
                f"cannot use the state directory {self._directory}: {error.strerror or error}; "
                "name another with --state"
            ) from error

    def put(self, entry: Entry) -> None:
        """Take note, for the next flush."""
        super().put(entry)
        self._pending.append(entry)

    async def flush(self) -> None:
        """Write what waits, with one fsync. JournalError keeps it waiting."""
        if not self._pending and not self._torn:
            return
        batch, self._pending = self._pending, []
        anew = self._torn or self._lines > max(_COMPACT_LINES, _COMPACT_FACTOR * len(self.entries()))
        try:
            await self._run(self._rewrite if anew else self._append, self.entries() if anew else batch)
        except OSError as error:
            self._torn = True
            raise JournalError(
                f"cannot write the journal in {self._directory}: {error.strerror or error}; "
                "nothing is reported until it can be"
            ) from error

    async def close(self) -> None:
        """Flush and unlock."""
        try:
            if self._log is not None:
                await self.flush()
        finally:
            for file in (self._log, self._lock):
                if file is not None:
                    file.close()
            self._log = self._lock = None
            if self._shared is None:
                self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[..., None], *args: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    # --- on the thread -----------------------------------------------------------------------------------

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (self._directory / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise JournalError(
                f"the state directory {self._directory} is in use by another worker; stop it, or name another "
                "with --state"
            ) from None
        identity = self._directory / "incarnation"
        if not identity.exists():
            _replace(identity, self._new_incarnation().encode() + b"\n")
        self.incarnation = identity.read_text(encoding="ascii").strip()
        if not self.incarnation:
            raise JournalError(f"{identity} is empty; remove it to make this a new incarnation of the host")
        log = self._directory / "journal"
        if log.exists():
            self._read(log.read_bytes())
        self._rewrite(self.entries())

    def _read(self, content: bytes) -> None:
        for line in content.splitlines():
            entry = _entry(line)
            if entry is None:
                self.damaged += 1
            else:
                MemoryJournal.put(self, entry)

    def _append(self, entries: list[Entry]) -> None:
        assert self._log is not None, "the journal is open"
        self._log.write(b"".join(_line(entry) for entry in entries))
        self._log.flush()
        os.fsync(self._log.fileno())
        self._lines += len(entries)

    def _rewrite(self, entries: list[Entry]) -> None:
        if self._log is not None:
            self._log.close()
        path = self._directory / "journal"
        _replace(path, b"".join(_line(entry) for entry in entries))
        self._log = path.open("ab")
        self._lines = len(entries)
        self._torn = False


def _line(entry: Entry) -> bytes:
    body = msgspec.json.encode(entry)
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _entry(line: bytes) -> Entry | None:
    """The entry of a line, or None if it is damaged."""
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        return msgspec.json.decode(body, type=Entry)
    except msgspec.MsgspecError:
        return None


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that after a power loss either the old or the new one is there, whole."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
