"""The daemons under a service manager: what it hears from real processes on a real nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import DEADLINE_S


class Unit:
    """A daemon that was started as systemd starts one: with a socket of its own to tell how it is."""

    def __init__(self, folder: Path, name: str, *argv: str) -> None:
        self._heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        address = str(folder / f"{name}.notify")
        self._heard.bind(address)
        self.log = folder / f"{name}.log"
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "500000", "SHOAL_CONFIG": os.devnull}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *argv], env={**os.environ, **environ}, stdout=log, stderr=log
            )

    async def hears(self, line: str) -> list[str]:
        """Wait for a line; returns all lines until then."""
        lines: list[str] = []
        try:
            async with asyncio.timeout(DEADLINE_S):
                while line not in lines:
                    body = await asyncio.get_running_loop().sock_recv(self._heard, 4096)
                    lines += body.decode().splitlines()
        except TimeoutError:
            raise AssertionError(f"never heard {line!r}, but {set(lines)}: {self.log.read_text()}") from None
        return lines

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._heard.close()


@contextlib.contextmanager
def unit(folder: Path, name: str, *argv: str) -> Iterator[Unit]:
    started = Unit(folder, name, *argv)
    try:
        yield started
    finally:
        started.close()


async def test_an_orchestrator_is_ready_when_it_leads_or_stands_by(nats_url: str, tmp_path: Path) -> None:
    """The leader and the standby are ready, and say which they are; when one ends the other leads, and says so."""
    argv = ("shoal_orchestrator", "--server", nats_url, "--head", "mm1")
    with unit(tmp_path, "first", *argv, "--name", "first") as first:
        lines = await first.hears("STATUS=leading, epoch 1")
        assert lines.index("READY=1") == lines.index("STATUS=leading, epoch 1") - 1
        with unit(tmp_path, "second", *argv, "--name", "second") as second:
            lines = await second.hears("STATUS=standing by: another orchestrator leads")
            assert "READY=1" in lines
            await second.hears("WATCHDOG=1")
            first.process.terminate()
            await first.hears("STOPPING=1")
            assert "READY=1" not in await second.hears("STATUS=leading, epoch 2")
            assert await asyncio.to_thread(first.process.wait, DEADLINE_S) == 0


async def test_a_worker_is_ready_when_its_host_is_claimed(nats_url: str, tmp_path: Path) -> None:
    """Without an orchestrator it is alive but not ready, and says what it waits for; with one it is ready."""
    worker = ("shoal_worker", "--server", nats_url, "--simulate", "--host", "mm1")
    with unit(tmp_path, "worker", *worker) as host:
        waiting = "STATUS=claiming mm1 from the orchestrator"
        lines = await host.hears(waiting)
        lines += await host.hears("WATCHDOG=1")
        assert "READY=1" not in lines
        orchestrator = ("shoal_orchestrator", "--server", nats_url, "--head", "mm1")
        with unit(tmp_path, "orchestrator", *orchestrator) as leader:
            await leader.hears("READY=1")
            assert "READY=1" in await host.hears("STATUS=working for mm1")
            host.process.terminate()
            await host.hears("STOPPING=1")
            assert await asyncio.to_thread(host.process.wait, DEADLINE_S) == 0
