"""`shoal lab`: a cluster of several hosts on one machine, for trying, for the demo, for tests.

Head and hosts are network namespaces with an underlay between them, or all simulated in one process. Everything
that is made goes away at the end, whatever the end is. This module refuses to know what the daemons do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from shoal.core.ranges import fold
from shoal_worker.kept_guests import GUESTS
from shoal_worker.lab import hosts
from shoal_worker.lab.cluster import Cluster, Stopped, say, wait_for_hosts
from shoal_worker.lab.guard import guarded
from shoal_worker.lab.layout import HEAD, MARK, Layout, enter, netns_prefix, network_netns, nodes
from shoal_worker.lab.nats_servers import beside, inside
from shoal_worker.lab.preconditions import (
    find_command,
    find_programs,
    free_port,
    listen,
    open_state,
    search_path,
)
from shoal_worker.lab.processes import exit_of, write_json

if TYPE_CHECKING:
    import socket

    from shoal_worker.lab.layout import Programs
    from shoal_worker.lab.preconditions import State
    from shoal_worker.lab.settings import LabSettings

_LOCAL = "127.0.0.1"
_COMMAND_END_S = 5.0


def run_lab(settings: LabSettings) -> int:
    """Run a lab from its beginning to its end; returns the command's exit code.

    Without a command: 0 after Ctrl-C. 128 + n after signal n. Raises ShoalError for what is missing or fails.
    """
    programs = find_programs(simulate=settings.simulate, namespaces=True)
    find_command(settings.command, os.environ)
    lab = f"{random.SystemRandom().getrandbits(24):06x}"
    with listen(settings.port) as listening:
        state = open_state(settings.state, lab)
        with guarded(lab, state):
            return asyncio.run(_Lab(settings, lab, state, programs).run(listening))


class _Lab:
    def __init__(self, settings: LabSettings, lab: str, state: State, programs: Programs) -> None:
        self._settings = settings
        self._lab = lab
        self._state = state
        self._layout = Layout(lab=lab, state=state.path, programs=programs)
        self._nodes = () if settings.simulate else nodes(lab, settings.hosts)
        #: NATS as the machine reaches it, and as the command does
        self._url = self._inner_url = ""

    @property
    def _netns(self) -> str:
        """Where the command runs: in the head's namespace, or in the machine's own."""
        return self._nodes[0].netns if self._nodes else ""

    async def run(self, listening: socket.socket) -> int:
        """Bring the cluster up and use it. `listening` is on the machine's port for NATS."""
        async with Cluster(self._layout) as cluster:
            self._cluster = cluster
            try:
                await cluster.during(
                    self._simulate(listening) if self._settings.simulate else self._build(listening)
                )
                await cluster.during(
                    wait_for_hosts(self._url, (HEAD, *self._settings.hosts), self._settings.timeout_s)
                )
                await cluster.during(cluster.follow_leader(self._url))
                cluster.started()
                if self._settings.command:
                    return await self._run_command()
                say(self._summary(), sys.stdout)
                await cluster.during(asyncio.Event().wait())
            except Stopped as stopped:
                say("shoal: taking the lab down")
                if stopped.number == signal.SIGINT and not self._settings.command:
                    return 0
                return 128 + stopped.number
            return 0

    async def _build(self, listening: socket.socket) -> None:
        """Hosts as network namespaces, NATS and orchestrator in the head's, a worker in each."""
        layout, processes, head = self._layout, self._cluster.processes, self._nodes[0]
        hosts.create(self._lab, self._nodes)
        self._url = f"nats://{_LOCAL}:{listening.getsockname()[1]}"
        servers = inside(head.address, self._settings.nats)
        self._inner_url = await self._cluster.start_nats(servers, netns=head.netns)
        self._write()
        processes.start(layout.relay(head, listening.fileno(), servers), pass_fds=(listening.fileno(),))
        self._start_orchestrators(head.netns)
        for node in self._nodes:
            role = "edge" if node is head and not self._settings.head_worker else "host"
            processes.start(layout.worker(self._inner_url, node, role, self._settings.accelerator))

    async def _simulate(self, listening: socket.socket) -> None:
        """All hosts in one process, on the machine's own network. NATS takes the port itself."""
        layout, processes = self._layout, self._cluster.processes
        port = listening.getsockname()[1]
        listening.close()
        servers = beside(_LOCAL, port, self._settings.nats, free_port)
        self._url = self._inner_url = await self._cluster.start_nats(servers)
        self._write()
        self._start_orchestrators()
        for left in layout.simulated_state.glob(f"*/{GUESTS}"):
            left.unlink()  # guests of a lab end with it, simulated ones as QEMUs
        processes.start(
            layout.simulated_workers(
                self._url, self._settings.hosts, HEAD, head_worker=self._settings.head_worker
            )
        )

    def _start_orchestrators(self, netns: str = "") -> None:
        for number in range(1, self._settings.orchestrators + 1):
            self._cluster.processes.start(
                self._layout.orchestrator(
                    self._inner_url, HEAD, netns, number=number, replicas=self._settings.nats
                )
            )

    async def _run_command(self) -> int:
        """Run the command with `NATS_URL` set; its exit code, 128 + n if signal n ended it."""
        child = self._start_command()
        # What a terminal sends at Ctrl-C reaches the command as well, and a prompt does not end from it.
        self._cluster.on_signal = lambda number: number != signal.SIGINT or not _has_terminal()
        try:
            code = await self._cluster.during(exit_of(child))
        except Stopped as stopped:
            with contextlib.suppress(ProcessLookupError, TimeoutError):
                child.send_signal(stopped.number)
                async with asyncio.timeout(_COMMAND_END_S):
                    await exit_of(child)
            raise
        return code if code >= 0 else 128 - code

    def _start_command(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*enter(self._netns), *self._settings.command],
            env={
                **os.environ,
                "NATS_URL": self._inner_url,
                "PATH": search_path(os.environ),
                "SHOAL_LAB_STATE": str(self._state.path),
                MARK: self._lab,
            },
        )

    def _write(self) -> None:
        """Write lab.json: what there is and where."""
        written = {
            "lab": self._lab,
            "pid": os.getpid(),
            "simulate": self._settings.simulate,
            "state": str(self._state.path),
            "url": self._url,
            "inner_url": self._inner_url,
            "head": HEAD,
            "hosts": list(self._settings.hosts),
            "network": network_netns(self._lab) if self._nodes else "",
            "namespaces": {node.name: node.netns for node in self._nodes},
            "addresses": {node.name: node.address for node in self._nodes},
        }
        write_json(self._state.path / "lab.json", written)

    def _summary(self) -> str:
        count = len(self._settings.hosts)
        kind = f"network namespaces {netns_prefix(self._lab)}*" if self._nodes else "simulated"
        state = f"{self._state.path}{', removed at the end' if self._state.made else ''}"
        return "\n".join(
            (
                f"Lab {self._lab}: the head and {count} host{'s' * (count != 1)} ({fold(self._settings.hosts)}), {kind}",
                f"  NATS    {self._url}",
                f"  state   {state}",
                f"  logs    {self._state.path / 'logs'}",
                "Use it from another terminal:",
                f"  export NATS_URL={self._url}",
                "  shoal",
                "Ctrl-C here takes it down.",
            )
        )


def _has_terminal() -> bool:
    """Whether a terminal's Ctrl-C reaches our whole process group, and so the command too."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
