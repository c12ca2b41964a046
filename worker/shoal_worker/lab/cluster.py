"""Brings a cluster up on this machine and waits until its hosts are alive; what `shoal lab` and `shoal up` share.

This module refuses to know namespaces of the kernel and commands. It makes nothing go away: see teardown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

from shoal.bus.connection import connect as connect_bus
from shoal.client import connect
from shoal.core.ranges import fold
from shoal.errors import ShoalError, TimedOut
from shoal_worker.lab.layout import HEAD
from shoal_worker.lab.leading import follow, leader_pid
from shoal_worker.lab.nats_servers import config, url_of
from shoal_worker.lab.processes import Processes, early_end, last_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Sequence
    from pathlib import Path

    from shoal_worker.lab.layout import Layout, Process
    from shoal_worker.lab.nats_servers import NatsServer

_T = TypeVar("_T")
_POLL_S = 0.1
_NATS_START_S = 15.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """A signal asked us to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def say(text: str, stream: TextIO | None = None) -> None:
    """Tell a person; on standard error unless said otherwise. A terminal that is gone is no reason to stop."""
    with contextlib.suppress(OSError, ValueError):
        (stream or sys.stderr).write(f"{text}\n")
        (stream or sys.stderr).flush()


class Cluster:
    """NATS, orchestrator and workers, while they run. Use as `async with`, on the event loop's thread."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._fatal = True
        self._following: asyncio.Task[None] | None = None
        self._failed: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_signal: Callable[[int], bool] = lambda _: True
        self.processes = Processes(layout.state / "processes.json", self._on_end)

    async def __aenter__(self) -> Self:
        for number in _SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.processes.stop_watching()
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait((self._following,))
        if not self._failed.cancel():
            self._failed.exception()  # seen: whoever waits for something has been told
        self._stopped.cancel()

    def _on_signal(self, number: int) -> None:
        if self.on_signal(number) and not self._stopped.done():
            self._stopped.set_result(number)

    def _on_end(self, process: Process, code: int) -> None:
        if self._fatal:
            if not self._failed.done():
                self._failed.set_exception(early_end(process, code))
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = last_line(process.log) if code > 0 else ""
        say(f"shoal: the {process.name} {how}{f': {said}' if said else ''}")

    async def during(self, work: Coroutine[object, object, _T]) -> _T:
        """Do some work. Raises Stopped when a signal comes first, Refused when a process ends that must not."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait((task, self._stopped, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if self._stopped.done():
                raise Stopped(self._stopped.result())
            if self._failed.done():
                self._failed.result()
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))

    def started(self, *, ends_alone: bool = True) -> None:
        """Everything is up. From now on the end of a process is only told, or ends everything."""
        self._fatal = not ends_alone
        if ends_alone:
            self.processes.watch()

    async def follow_leader(self, url: str) -> None:
        """Write down which orchestrator leads, and keep that true."""
        with contextlib.suppress(ShoalError):
            async with await connect_bus(url, name="shoal-lab") as bus:
                self.processes.lead(await leader_pid(bus))
        self._following = asyncio.ensure_future(follow(url, self.processes.lead))

    async def start_nats(self, servers: Sequence[NatsServer], *, host: str = HEAD, netns: str = "") -> str:
        """Start the NATS servers and return their URL once each listens. Raises TimedOut if one does not."""
        for server in servers:
            folder = self.layout.nats_folder(server)
            folder.mkdir(parents=True, exist_ok=True)
            for stale in folder.glob("*.ports"):
                stale.unlink()
            (folder / "nats.conf").write_text(config(server, servers, folder), encoding="utf-8")
            self.processes.start(self.layout.nats(server, host=host, netns=netns))
        try:
            async with asyncio.timeout(_NATS_START_S):
                for server in servers:
                    while not _listens(self.layout.nats_folder(server)):  # noqa: ASYNC110  (others write the file)
                        await asyncio.sleep(_POLL_S / 4)
        except TimeoutError:
            log = self.layout.nats(server, host=host).log
            raise TimedOut(f"nats-server did not listen within {_NATS_START_S:g} s: see {log}") from None
        return url_of(servers)


def _listens(folder: Path) -> bool:
    """Whether the server has written its ports file."""
    for file in folder.glob("*.ports"):
        with contextlib.suppress(OSError, ValueError, LookupError):
            return bool(json.loads(file.read_text(encoding="utf-8"))["nats"])
    return False


async def wait_for_hosts(url: str, names: Collection[str], timeout_s: float) -> None:
    """Wait until the orchestrator counts every one of these hosts as alive. Raises TimedOut with those that are not."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    quiet_until = loop.time() + 1.0
    missing, told = set(names), -1
    reason = ""
    while True:
        try:
            async with connect(url, name="shoal-lab") as client:
                while missing:
                    missing = set(names) - {row.host for row in await client.hosts() if row.state == "alive"}
                    told = _progress(missing, len(names), told, quiet=loop.time() < quiet_until)
                    if loop.time() > deadline:
                        break
                    await asyncio.sleep(_POLL_S if missing else 0)
        except ShoalError as error:  # NATS or the orchestrator is not there yet
            reason = f" ({error.message})"
            await asyncio.sleep(_POLL_S)
        if not missing:
            return
        if loop.time() > deadline:
            raise TimedOut(f"not alive within {timeout_s:g} s: {fold(missing)}{reason}; see the logs")


def _progress(missing: Collection[str], total: int, told: int, *, quiet: bool) -> int:
    """Say how many hosts are there, when that changed and the start takes more than a moment."""
    if not quiet and len(missing) != told:
        waiting = f", waiting for {fold(missing)}" if missing else ""
        say(f"shoal: {total - len(missing)} of {total} hosts alive{waiting}")
        return len(missing)
    return told
