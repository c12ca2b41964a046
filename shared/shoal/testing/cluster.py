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
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Bus
from shoal.core.ranges import expand
from shoal.errors import ShoalError, TimedOut
from shoal.settings.file import VARIABLE
from shoal.testing.leftovers import complaints, consumers_left
from shoal.testing.nats_server import NatsServer, running_nats_server, running_nats_servers

READY_TIMEOUT_S = 60.0
NATS_SERVER = "nats-server"
APART = "apart"


class Cluster:
    """A running cluster. `url` are its NATS servers; `folder` holds the logs and is removed at the end."""

    def __init__(
        self,
        servers: Mapping[str, NatsServer],
        folder: Path,
        hosts: Sequence[str],
        head: str,
        apart: Sequence[str] = (),
        *,
        keep: bool = False,
    ) -> None:
        self._servers = servers
        self.url = ",".join(server.url for server in servers.values())
        self.folder = folder
        self.hosts = list(hosts)
        self.head = head
        self.apart = frozenset(apart)
        self._keep = keep
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stubborn: list[str] = []

    def start(self, role: str, *, server: str = "", settings: Sequence[str] = ()) -> None:
        """Start the `orchestrator` (others: `orchestrator2`, …), the process of all simulated `workers` (of those that
        are `apart`), or the `nats-server` (others: `nats-server2`, …) again: same address, same streams.

        `server` is where it finds NATS instead of at `url`; `settings` are further words of its command line.
        """
        if role in self._servers:
            self._servers[role].start()
            return
        argv = [sys.executable, "-m", *self._program(role, server or self.url), *settings]
        with (self.folder / f"{role}.log").open("ab") as log:
            # what this machine's own daemons are configured to is no business of a test's cluster
            env = {VARIABLE: os.devnull, **os.environ}
            self._processes[role] = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=env)

    def _program(self, role: str, server: str) -> list[str]:
        """Module and arguments of a daemon."""
        if role.startswith("orchestrator"):
            replicas = str(len(self._servers))
            return ["shoal_orchestrator", "--server", server, "--head", self.head, "--replicas", replicas]
        theirs = [
            host for host in self.hosts if (host in self.apart) == (role == APART) and host != self.head
        ]
        argv = ["shoal_worker", "--simulate", "--server", server, "--hosts", ",".join(theirs)]
        argv += [] if role == APART else ["--head", self.head]
        return [*argv, *(("--state", str(self.state)) if self._keep else ())]

    @property
    def state(self) -> Path:
        """Where simulated hosts are kept, a folder for each."""
        return self.folder / "workers"

    def kill(self, role: str) -> None:
        """Kill a process as `kill -9` does."""
        if role in self._servers:
            self._servers[role].kill()
            return
        process = self._processes.pop(role)
        process.kill()
        process.wait()

    def pid(self, role: str) -> int:
        """The process number of what runs as a role, to send signals to."""
        return self._servers[role].pid if role in self._servers else self._processes[role].pid

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

    async def stream_leader(self, stream: str = subjects.STATE_STREAM) -> str:
        """The role of the NATS server that leads a stream; empty when none does. Only of several servers."""
        async with await connect(self.url, name="shoal-testing") as bus:
            answer = await bus.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout_s=5)
        return str(json.loads(answer.body).get("cluster", {}).get("leader", ""))

    def stop(self) -> None:
        """End what still runs."""
        for process in self._processes.values():
            process.terminate()
        for role, process in self._processes.items():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                self._stubborn.append(f"{role}: did not end within 10 s of SIGTERM")
                process.kill()
                process.wait()
        self._processes.clear()

    def complaints(self, expected: Collection[str] = ()) -> list[str]:
        """What no cluster may leave in its logs, after `stop`; lines with an `expected` word in them are passed over."""
        found = list(self._stubborn)
        for file in sorted(self.folder.glob("*.log")):
            lines = complaints(file.read_text(errors="replace"))
            found += [f"{file.stem}: {line}" for line in lines if not any(word in line for word in expected)]
        return found

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
    nats: int = 1,
    keep: bool = False,
    room: str = "",
    expected: Collection[str] = (),
) -> AsyncIterator[Cluster]:
    """Run a cluster of simulated hosts and yield it once all are alive; all of it is gone at the end.

    The hosts `apart` have a process of their own, so that they can be lost and the others stay. With `keep` guests
    outlive the processes of their workers, as real ones do. Of three servers (`nats`) one may be lost; one alone may have
    little `room` for its streams, such as 8MB. AssertionError when a daemon left a traceback in its log, a task that
    nobody asked for its error, or a consumer, unless the line has an `expected` word in it.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoal-cluster-")))
        names = [_numbered(NATS_SERVER, number) for number in range(1, nats + 1)]
        servers = (
            [stack.enter_context(running_nats_server(store, room=room))]
            if nats == 1
            else stack.enter_context(running_nats_servers(names))
        )
        named = dict(zip(names, servers, strict=True))
        running = Cluster(named, folder, expand(hosts), head, expand(apart), keep=keep)
        stack.callback(running.stop)
        for number in range(1, orchestrators + 1):
            running.start(_numbered("orchestrator", number))
        running.start("workers")
        if apart:
            running.start(APART)
        await running.ready()
        yield running
        left = await consumers_left(running.url)
        running.stop()
        left += running.complaints(expected)
        assert not left, "what a cluster left behind:\n" + "\n".join(left)


def _numbered(role: str, number: int) -> str:
    """The first of several bears no number."""
    return role if number == 1 else f"{role}{number}"


def environment(url: str) -> dict[str, str]:
    """This process's environment with `NATS_URL` set, for programs that are to find the cluster."""
    return {**os.environ, "NATS_URL": url}
