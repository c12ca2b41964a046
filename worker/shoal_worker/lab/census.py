"""Finds the processes of a lab, and ends them.

A process belongs to a lab if it is in one of its network namespaces (its QEMU guests are), if its environment
bears the lab's mark, or if it runs one of the command lines that the lab wrote down, whoever started it.
This module refuses to know what the processes do. It reads proc(5), and signals by pidfd, so that a process that
got a dead one's number is never hit.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shoal_worker.lab.layout import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PROC = Path("/proc")
_POLL_S = 0.02

#: a network namespace's identity: device and inode of its file
Inode = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Member:
    """What makes a process one of a lab's."""

    lab: str
    netns: frozenset[Inode] = frozenset()
    commands: frozenset[tuple[str, ...]] = frozenset()

    def includes(self, pid: int) -> bool:
        """Whether the process is there, alive, not ours, and belongs to the lab."""
        if pid == os.getpid() or not alive(pid):
            return False
        return (
            inode_of(_PROC / str(pid) / "ns/net") in self.netns
            or f"{MARK}={self.lab}".encode() in _split(pid, "environ")
            or command_of(pid) in self.commands
        )


def inode_of(path: Path) -> Inode | None:
    """The identity of the namespace that a file stands for, or None if it cannot be read."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def inodes(paths: Iterable[Path]) -> frozenset[Inode]:
    """The identities of namespaces; those that are gone are left out."""
    return frozenset(found for found in map(inode_of, paths) if found)


def pids() -> list[int]:
    """Every process that there is."""
    return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208  (names are all we want)


def alive(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def parent_of(pid: int) -> int:
    """The process that started it, or that has taken it over; 0 when it has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def command_of(pid: int) -> tuple[str, ...]:
    """The argument list of a process; empty if it is gone."""
    return tuple(word.decode(errors="surrogateescape") for word in _split(pid, "cmdline")[:-1])


def _stat(pid: int) -> list[str]:
    """State, parent and what follows in proc(5)'s `stat`; empty if the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    # the name before them may hold anything, parentheses too
    return text.rpartition(")")[2].split()


def _split(pid: int, file: str) -> list[bytes]:
    try:
        return (_PROC / str(pid) / file).read_bytes().split(b"\0")
    except OSError:
        return []


def members(member: Member) -> list[int]:
    """The processes of a lab that are alive."""
    return [pid for pid in pids() if member.includes(pid)]


def find(command: tuple[str, ...], netns: Inode | None) -> int:
    """The process with this argument list in this namespace, 0 if there is none."""
    return next(
        (
            pid
            for pid in pids()
            if command_of(pid) == command and alive(pid) and inode_of(_PROC / str(pid) / "ns/net") == netns
        ),
        0,
    )


def end(
    member: Member,
    *,
    grace_s: float,
    later: Callable[[int], bool] = lambda _: False,
    later_grace_s: float = 3.0,
) -> list[int]:
    """End the processes of a lab: politely, those that `later` names after the others, then for good.

    Blocks for at most the graces and five seconds. Returns the processes that are still there (none, unless the
    kernel holds one).
    """
    chosen: list[Callable[[int], bool]] = [lambda pid: not later(pid), lambda _: True]
    for choose, wait_s in zip(chosen, (grace_s, later_grace_s), strict=True):
        told: set[int] = set()
        deadline = time.monotonic() + wait_s
        while left := [pid for pid in members(member) if choose(pid)]:
            for pid in left:
                if pid not in told:
                    told.add(pid)
                    # a stopped process takes the first signal only when it goes on
                    _signal(member, pid, signal.SIGTERM, signal.SIGCONT)
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
    deadline = time.monotonic() + 5.0
    while left := members(member):
        for pid in left:
            _signal(member, pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return left
        time.sleep(_POLL_S)
    return []


def _signal(member: Member, pid: int, *numbers: signal.Signals) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if member.includes(pid):
            for number in numbers:
                signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
