"""Starts the processes of a lab, keeps `processes.json` true, and says when one of them ends.

It restarts nothing: whoever killed a process runs its argv again, and it is found by that. This module refuses to
know what the processes are for.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.errors import Refused
from shoal_worker.lab import census
from shoal_worker.lab.layout import NETNS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal_worker.lab.layout import Process

_LOOK_S = 0.5
_TAIL_BYTES = 4096


class Processes:
    """The running processes. `ended` is called with a process and its exit code whenever one that we started ends."""

    def __init__(self, file: Path, ended: Callable[[Process, int], None]) -> None:
        self._file = file
        self._ended = ended
        self._pids: dict[Process, int] = {}
        self._leader_pid = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.write()

    def start(self, process: Process, *, pass_fds: tuple[int, ...] = ()) -> None:
        """Start one, in a session of its own, its output in its log."""
        process.log.parent.mkdir(parents=True, exist_ok=True)
        with process.log.open("ab") as log:
            child = subprocess.Popen(
                process.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **process.env},
                start_new_session=True,
                pass_fds=pass_fds,
            )
        self._pids[process] = child.pid
        self.write()
        self._keep(asyncio.create_task(self._wait(process, child), name=process.name))

    def watch(self) -> None:
        """From now on look for processes that were started again by others."""
        self._keep(asyncio.create_task(self._look(), name="processes.json"))

    def lead(self, pid: int) -> None:
        """Process `pid` leads now; 0: none that is known."""
        if pid != self._leader_pid:
            self._leader_pid = pid
            self.write()

    def stop_watching(self) -> None:
        """Write and call no more."""
        for task in self._tasks:
            task.cancel()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, process: Process, child: subprocess.Popen[bytes]) -> None:
        code = await exit_of(child)
        if self._pids[process] == child.pid:
            self._pids[process] = 0
            self.write()
            self._ended(process, code)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            changed = False
            for process, pid in self._pids.items():
                if pid and census.alive(pid):
                    continue
                folder = Path(NETNS_FOLDER) / process.netns if process.netns else Path("/proc/self/ns/net")
                found = census.find(process.command, census.inode_of(folder))
                changed |= found != pid
                self._pids[process] = found
            if changed:
                self.write()

    def write(self) -> None:
        """Write processes.json, whole or not at all. `pid` 0: not running."""
        written = {
            "processes": [
                {
                    "role": process.role,
                    "host": process.host,
                    "pid": pid,
                    "leader": pid != 0 and pid == self._leader_pid,
                    "number": process.number,
                    "netns": process.netns,
                    "argv": list(process.argv),
                    "env": dict(process.env),
                    "log": str(process.log),
                }
                for process, pid in self._pids.items()
            ]
        }
        write_json(self._file, written)


async def exit_of(child: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child; its exit code, -n if signal n ended it.

    By pidfd: asyncio's own children need its loop to outlive them, and these outlive the loop.
    """
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    fd = os.pidfd_open(child.pid)
    loop.add_reader(fd, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    return child.wait()


def write_json(file: Path, value: object) -> None:
    """Replace a file by another one, so that no reader sees half of it."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    fresh.replace(file)


def last_line(log: Path) -> str:
    """The last thing that a process said."""
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""


def early_end(process: Process, code: int) -> Refused:
    """The error for a process that ended that the cluster cannot be without."""
    said = last_line(process.log)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return Refused(f"the {process.name} {how} by itself: {said or 'it said nothing'} ({process.log})")
