"""Gets addresses for host taps by udhcpc, the DHCP client of busybox: one process for each tap.

Refuses to know records and links. A client is known by its arguments, which name our folder and its tap: files with
process numbers can be late, empty or out of date, and a second client would ask for a second address.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections import defaultdict
from importlib import resources
from pathlib import Path

from shoal_worker.lab.census import command_of, parent_of, pids

_BUSYBOX = "busybox"
_SCRIPT = "udhcpc.sh"


class UdhcpcLeases:
    """The clients of one worker; `folder` (absolute) has their script, and the addresses that they have got."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taps: frozenset[str] = frozenset()
        self._trouble = ""
        #: those that this process has started, and has to reap
        self._children: set[int] = set()

    async def ensure(self, taps: frozenset[str]) -> None:
        """End the clients of other taps, start those that are missing (or have died)."""
        if taps or self._taps or self._folder.exists():
            await asyncio.to_thread(self._ensure, taps)
        self._taps = taps

    def address(self, tap: str) -> str:
        """What the script has written down."""
        try:
            return self._lease(tap).read_text(encoding="ascii").strip()
        except OSError:
            return ""

    def trouble(self, tap: str) -> str:
        """Why the clients could not be started."""
        return self._trouble if tap in self._taps else ""

    def _ensure(self, taps: frozenset[str]) -> None:
        self._reap()
        running = self._clients()
        for tap, clients in running.items():
            for pid in clients[1:] if tap in taps else clients:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        for lease in self._folder.glob("*.lease"):
            # A client takes its own away when it ends; this was left by one that was killed.
            if lease.stem not in taps and lease.stem not in running:
                lease.unlink(missing_ok=True)
        self._trouble = ""
        for tap in sorted(taps - running.keys()):
            try:
                self._start(tap)
            except OSError as error:
                self._trouble = f"cannot start a DHCP client: {error.strerror or error}"

    def _start(self, tap: str) -> None:
        busybox = shutil.which(_BUSYBOX)
        if busybox is None:
            self._trouble = "cannot start a DHCP client: there is no busybox on this host; install it"
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        script = self._folder / _SCRIPT
        script.write_bytes(resources.files("shoal_worker").joinpath(_SCRIPT).read_bytes())
        script.chmod(0o700)
        # In the foreground of a session of its own; asks for ever, and gives the lease back when it is ended.
        argv = [busybox, "udhcpc", "-i", tap, "-f", "-R", "-s", str(script)]
        argv += ["-t", "3", "-T", "2", "-A", "3"]
        child = os.posix_spawn(
            busybox,
            argv,
            {**os.environ, "SHOAL_LEASE": str(self._lease(tap))},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setsid=True,
        )
        self._children.add(child)

    def _clients(self) -> dict[str, list[int]]:
        """The clients that run, whoever has started them: tap → process numbers.

        A client that is about to run its script is two processes for a moment, with the same arguments.
        """
        script = str(self._folder / _SCRIPT)
        found: defaultdict[str, list[int]] = defaultdict(list)
        for pid in pids():
            words = command_of(pid)
            if words[1:3] == ("udhcpc", "-i") and script in words:
                found[words[3]].append(pid)
        return {
            tap: [pid for pid in clients if parent_of(pid) not in clients] for tap, clients in found.items()
        }

    def _reap(self) -> None:
        for child in list(self._children):
            try:
                ended = os.waitpid(child, os.WNOHANG)[0] == child
            except ChildProcessError:
                ended = True
            if ended:
                self._children.discard(child)

    def _lease(self, tap: str) -> Path:
        return self._folder / f"{tap}.lease"
