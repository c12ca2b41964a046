"""Gets addresses for host taps by udhcpc, the DHCP client of busybox: one process for each tap.

Refuses to know records and links. A client bears its tap in its arguments and its process number in a file, so that
the next worker finds it, and nothing is done to another process that got a dead one's number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from importlib import resources
from pathlib import Path

_BUSYBOX = "busybox"
_SCRIPT = "udhcpc.sh"


class UdhcpcLeases:
    """The clients of one worker; `folder` (absolute) has their script, process numbers and addresses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._taps: frozenset[str] = frozenset()
        self._trouble = ""

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
        for path in self._folder.glob("*.pid"):
            if path.stem not in taps:
                self._end(path.stem)
        self._trouble = ""
        for tap in sorted(taps):
            if not self._pid(tap):
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
        argv = [busybox, "udhcpc", "-i", tap, "-f", "-R", "-s", str(script), "-p", str(self._file(tap))]
        argv += ["-t", "3", "-T", "2", "-A", "3"]
        pid = os.posix_spawn(
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
        # It writes this itself, but perhaps not before it is looked for again.
        self._file(tap).write_text(f"{pid}\n", encoding="ascii")

    def _end(self, tap: str) -> None:
        pid = self._pid(tap)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        else:
            self._file(tap).unlink(missing_ok=True)
            self._lease(tap).unlink(missing_ok=True)

    def _pid(self, tap: str) -> int:
        """The tap's client, if it is there and is one; a dead child is reaped."""
        try:
            pid = int(self._file(tap).read_text(encoding="ascii"))
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if os.fsencode(self._file(tap)) in words else 0

    def _file(self, tap: str) -> Path:
        return self._folder / f"{tap}.pid"

    def _lease(self, tap: str) -> Path:
        return self._folder / f"{tap}.lease"
