"""A cluster for tests: a real nats-server, a real orchestrator and simulated hosts, as processes of one's own.

Refuses to know the daemons' code: it starts them as programs, so that they can be killed as programs are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Bus
from shoal.core.ranges import expand
from shoal.errors import ShoalError, TimedOut
from shoal.testing.nats_server import nats_server

READY_TIMEOUT_S = 60.0


class Cluster:
    """A running cluster. `url` is its NATS server; `folder` holds the logs and is removed at the end."""

    def __init__(self, url: str, folder: Path, hosts: Sequence[str], head: str) -> None:
        self.url = url
        self.folder = folder
        self.hosts = list(hosts)
        self.head = head
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        """Start the `orchestrator`, or the process of all simulated `workers`."""
        argv = [sys.executable, "-m"]
        if role == "orchestrator":
            argv += ["shoal_orchestrator", "--server", self.url, "--head", self.head]
        else:
            hosts = ",".join(host for host in self.hosts if host != self.head)
            argv += [
                "shoal_worker",
                "--simulate",
                "--server",
                self.url,
                "--hosts",
                hosts,
                "--head",
                self.head,
            ]
        with (self.folder / f"{role}.log").open("ab") as log:
            self._processes[role] = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)

    def kill(self, role: str) -> None:
        """Kill a process as `kill -9` does."""
        process = self._processes.pop(role)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def log(self, role: str) -> str:
        """What a process has logged."""
        file = self.folder / f"{role}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    async def ready(self) -> None:
        """Wait until the orchestrator answers and every host is alive. TimedOut says what is missing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_TIMEOUT_S
        wanted = {*self.hosts, self.head}
        said = ""
        async with await connect(self.url, name="shoal-testing") as bus:
            while loop.time() < deadline:
                for role, process in self._processes.items():
                    if process.poll() is not None:
                        raise TimedOut(f"the {role} ended by itself: {self.log(role)[-2000:]}")
                with contextlib.suppress(ShoalError):
                    alive = await _alive(bus)
                    if wanted <= alive:
                        return
                    said = f"not alive: {', '.join(sorted(wanted - alive)[:10])}"
                await asyncio.sleep(0.05)
        raise TimedOut(f"the cluster was not ready within {READY_TIMEOUT_S:g} s: {said or 'no orchestrator'}")


async def _alive(bus: Bus) -> set[str]:
    found: set[str] = set()
    after = ""
    while True:
        body = json.dumps({"which": "list", "after": after}).encode()
        answer = await bus.request(subjects.command("cluster", "host", "mesh", ""), body, timeout_s=2)
        page = json.loads(answer.body)
        found |= {row["host"] for row in page.get("items", ())}
        after = page.get("next", "")
        if not after:
            return found


@contextlib.asynccontextmanager
async def cluster(
    hosts: str = "mm[1-3]", *, head: str = "head", store: Path | None = None
) -> AsyncIterator[Cluster]:
    """Run a cluster of simulated hosts and yield it once all are alive; all of it is gone at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-cluster-")))
        url = stack.enter_context(nats_server(store))
        running = Cluster(url, folder, expand(hosts), head)
        stack.callback(running.stop)
        running.start("orchestrator")
        running.start("workers")
        await running.ready()
        yield running


def environment(url: str) -> dict[str, str]:
    """This process's environment with `NATS_URL` set, for programs that are to find the cluster."""
    return {**os.environ, "NATS_URL": url}
