"""Tells the service manager how this process is: ready, at what, alive, stopping (sd_notify(3)).

Refuses to know what the process does, and to fail: where nobody listens, or the listener is gone, nothing is said. The
protocol is a datagram of `NAME=value` lines to the Unix socket that `NOTIFY_SOCKET` names; systemd documents it as
stable, and a process needs no library for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, MutableMapping

_SOCKET, _WATCHDOG, _WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
#: a listener that does not read must not hold us up
_PATIENCE_S = 0.5


class ServiceManager:
    """Whoever listens at `address` (a path, or `@name` for an abstract socket); an empty one is nobody.

    `watchdog_s` is how often it wants to hear that we are alive, in seconds; 0: never.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_s = watchdog_s
        self._ready = False

    def ready(self, status: str) -> None:
        """We do our work, and this is what we are at. What waits for us is started now."""
        lines = [f"STATUS={_line(status)}"]
        if not self._ready:
            lines.insert(0, "READY=1")
        self._ready = True
        self._send(lines)

    def status(self, text: str) -> None:
        """What we are at; `systemctl status` shows it."""
        self._send([f"STATUS={_line(text)}"])

    def stopping(self) -> None:
        """We are about to end."""
        self._send(["STOPPING=1"])

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """For as long as the block runs, say from the event loop that it turns: twice in the time that was asked for."""
        task = asyncio.create_task(self._beat(), name="service-watchdog") if self._watchdog_s else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            self._send(["WATCHDOG=1"])
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, lines: list[str]) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.settimeout(_PATIENCE_S)
            out.sendto("\n".join(lines).encode(errors="replace"), self._address)


def service_manager(environ: MutableMapping[str, str]) -> ServiceManager:
    """The service manager that the environment names. Its variables are taken out: they are not for our children."""
    address = environ.pop(_SOCKET, "")
    microseconds, pid = environ.pop(_WATCHDOG, ""), environ.pop(_WATCHDOG_PID, "")
    ours = pid in ("", str(os.getpid()))
    usable = address.startswith(("/", "@"))
    watchdog_s = (
        int(microseconds) / 1e6 if ours and microseconds.isascii() and microseconds.isdigit() else 0.0
    )
    return ServiceManager(address if usable else "", watchdog_s)


def _line(text: str) -> str:
    return " ".join(text.split())
