"""A cluster for tests: a real nats-server, a real orchestrator and simulated hosts, as processes of one's own.

Refuses to know the daemons' code: it starts them as programs, so that they can be killed as programs are.
"""

from __future__ import annotations

import asyncio
import base64
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
from shoal.settings.file import VARIABLE
from shoal.testing.nats_server import NatsServer, running_nats_server

READY_TIMEOUT_S = 60.0
NATS_SERVER = "nats-server"
APART = "apart"


class Cluster:
    """A running cluster. `url` is its NATS server; `folder` holds the logs and is removed at the end."""

    def __init__(
        self, server: NatsServer, folder: Path, hosts: Sequence[str], head: str, apart: Sequence[str] = ()
    ) -> None:
        self._server = server
        self.url = server.url
        self.folder = folder
        self.hosts = list(hosts)
        self.head = head
        self.apart = frozenset(apart)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        """Start the `orchestrator` (others: `orchestrator2`, …), the process of all simulated `workers` (of those that
        are `apart`), or the `nats-server` again: same address, same streams.
        """
        if role == NATS_SERVER:
            self._server.start()
            return
        argv = [sys.executable, "-m"]
        if role.startswith("orchestrator"):
            argv += ["shoal_orchestrator", "--server", self.url, "--head", self.head]
        else:
            theirs = [
                host for host in self.hosts if (host in self.apart) == (role == APART) and host != self.head
            ]
            argv += ["shoal_worker", "--simulate", "--server", self.url, "--hosts", ",".join(theirs)]
            argv += [] if role == APART else ["--head", self.head]
        with (self.folder / f"{role}.log").open("ab") as log:
            # what this machine's own daemons are configured to is no business of a test's cluster
            env = {VARIABLE: os.devnull, **os.environ}
            self._processes[role] = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=env)

    def kill(self, role: str) -> None:
        """Kill a process as `kill -9` does."""
        if role == NATS_SERVER:
            self._server.kill()
            return
        process = self._processes.pop(role)
        process.kill()
        process.wait()

    def pid(self, role: str) -> int:
        """The process number of what runs as a role, to send signals to."""
        return self._processes[role].pid

    async def end(self, role: str, *, timeout_s: float = 20.0) -> int:
        """Ask a process to end, as an operator does, and wait for it; its exit code."""
        process = self._processes.pop(role)
        process.terminate()
        return await asyncio.to_thread(process.wait, timeout_s)

    async def leader(self) -> str:
        """The role of the orchestrator that holds the fence; empty when none of ours does."""
        async with await connect(self.url, name="shoal-testing") as bus:
            ask = json.dumps({"last_by_subj": subjects.FENCE}).encode()
            answer = await bus.request(f"$JS.API.STREAM.MSG.GET.{subjects.STATE_STREAM}", ask, timeout_s=5)
        found = json.loads(answer.body)
        if "message" not in found:
            return ""
        holder = json.loads(base64.b64decode(found["message"]["data"])).get("holder", "")
        pids = {str(process.pid): role for role, process in self._processes.items()}
        return pids.get((*holder.split("/"), "", "", "")[2], "")

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
        while loop.time() < deadline:
            for role, process in self._processes.items():
                if process.poll() is not None:
                    raise TimedOut(f"the {role} ended by itself: {self.log(role)[-2000:]}")
            with contextlib.suppress(ShoalError):
                # Connecting has a deadline of its own, which a busy machine may miss once.
                async with await connect(self.url, name="shoal-testing") as bus:
                    while loop.time() < deadline:
                        alive = await _alive(bus)
                        if wanted <= alive:
                            return
                        said = f"not alive: {', '.join(sorted(wanted - alive)[:10])}"
                        await asyncio.sleep(0.05)
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
    hosts: str = "mm[1-3]",
    *,
    head: str = "head",
    store: Path | None = None,
    orchestrators: int = 1,
    apart: str = "",
) -> AsyncIterator[Cluster]:
    """Run a cluster of simulated hosts and yield it once all are alive; all of it is gone at the end.

    The hosts `apart` have a process of their own, so that they can be lost and the others stay.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-cluster-")))
        server = stack.enter_context(running_nats_server(store))
        running = Cluster(server, folder, expand(hosts), head, expand(apart))
        stack.callback(running.stop)
        for number in range(1, orchestrators + 1):
            running.start("orchestrator" if number == 1 else f"orchestrator{number}")
        running.start("workers")
        if apart:
            running.start(APART)
        await running.ready()
        yield running


def environment(url: str) -> dict[str, str]:
    """This process's environment with `NATS_URL` set, for programs that are to find the cluster."""
    return {**os.environ, "NATS_URL": url}
