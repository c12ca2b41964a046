"""Lays out a cluster on one machine: its network namespaces, addresses and processes, as plain values.

This module refuses to start anything, and to know whether programs, ports and privileges are there. All of it is
pure; times, ids and paths come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Literal

from shoal.core.ranges import fold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shoal_worker.lab.nats_servers import NatsServer

#: the head's name in every lab
HEAD = "head"
#: names that no host of a lab may have: the head's, the underlay's, and a word of the command language
RESERVED = frozenset({HEAD, "net", "localhost"})
#: every process of a lab, and what it starts, bears the lab's id in this variable of its environment
MARK = "SHOAL_LAB"

# An underlay exists only inside the lab's namespaces; the number is one that people's own scripts seldom use.
_FIRST_ADDRESS = IPv4Address("10.213.0.1")
UNDERLAY_PREFIX = 16
MAX_HOSTS = 2**16 - 3

NETNS_FOLDER = "/var/run/netns"

Role = Literal["nats", "relay", "orchestrator", "worker"]


@dataclass(frozen=True, slots=True)
class Node:
    """A host of a lab: its name in the cluster, its network namespace and its address on the underlay."""

    name: str
    netns: str
    address: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process to start: `argv` as it can be run again by anyone, `command` its part inside the namespace."""

    role: Role
    host: str
    command: tuple[str, ...]
    log: Path
    netns: str = ""
    env: Mapping[str, str] = field(default_factory=dict, compare=False)
    #: of several with one role on one host, counted from 1
    number: int = 1

    @property
    def argv(self) -> tuple[str, ...]:
        """The whole argument list, which enters the namespace first."""
        return (*enter(self.netns), *self.command)

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.role} {self.host}{f' {self.number}' * (self.number > 1)}"


def netns_prefix(lab: str) -> str:
    """How the names of all network namespaces of a lab begin."""
    return f"shoal-{lab}-"


def network_netns(lab: str) -> str:
    """The namespace that holds the underlay's bridge; no host of a lab may have its name (see RESERVED)."""
    return f"{netns_prefix(lab)}net"


def enter(netns: str) -> tuple[str, ...]:
    """What stands before a command that is to run in the namespace; nothing for the machine's own."""
    return ("nsenter", f"--net={NETNS_FOLDER}/{netns}") if netns else ()


def nodes(lab: str, hosts: Sequence[str]) -> tuple[Node, ...]:
    """The head and the hosts, in this order, with their addresses."""
    return tuple(
        Node(name=name, netns=f"{netns_prefix(lab)}{name}", address=str(_FIRST_ADDRESS + index))
        for index, name in enumerate((HEAD, *hosts))
    )


@dataclass(frozen=True, slots=True)
class Programs:
    """What a cluster is made of: this Python, and nats-server."""

    python: str
    nats_server: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What the processes of one cluster have in common. `url` is NATS as they reach it."""

    lab: str
    state: Path
    programs: Programs

    def _process(
        self, role: Role, host: str, command: Sequence[str], netns: str = "", *, number: int = 1
    ) -> Process:
        return Process(
            role=role,
            host=host,
            command=tuple(command),
            log=self.state / "logs" / f"{_numbered(role, number)}-{host}.log",
            netns=netns,
            env={MARK: self.lab},
            number=number,
        )

    def _module(self, module: str, *words: str) -> tuple[str, ...]:
        return (self.programs.python, "-m", module, *words)

    def nats(self, server: NatsServer, *, host: str = HEAD, netns: str = "") -> Process:
        """A NATS server. It says that it listens by a file in its folder."""
        command = (
            *(self.programs.nats_server, "--config", str(self.nats_folder(server) / "nats.conf")),
            *("--addr", server.address, "--port", str(server.port)),
        )
        return self._process("nats", host, command, netns, number=server.number)

    def nats_folder(self, server: NatsServer) -> Path:
        """Configuration, store and ports file of a NATS server."""
        return self.state / _numbered("nats", server.number)

    def relay(self, head: Node, fd: int, to: Sequence[NatsServer]) -> Process:
        """The relay from the listening socket `fd`, which it inherits, to NATS in the head's namespace."""
        places = (word for server in to for word in ("--to", f"{server.address}:{server.port}"))
        command = self._module("shoal_worker.lab.relay", "--fd", str(fd), *places)
        return self._process("relay", head.name, command, head.netns)

    def orchestrator(
        self, url: str, head: str, netns: str = "", *, number: int = 1, replicas: int = 1
    ) -> Process:
        """An orchestrator, beside NATS. Its name tells it from others of the same lab."""
        command = self._module(
            "shoal_orchestrator",
            *("--server", url, "--head", head, "--name", _numbered("orchestrator", number)),
            *(("--replicas", str(replicas)) if replicas > 1 else ()),
        )
        return self._process("orchestrator", head, command, netns, number=number)

    def worker(self, url: str, node: Node, role: str, accelerator: str) -> Process:
        """The worker of one host, inside the host's namespace."""
        command = self._module(
            "shoal_worker",
            *("--server", url, "--host", node.name, "--role", role),
            *(
                "--state",
                str(self.state / node.name),
                "--underlay",
                node.address,
                "--accelerator",
                accelerator,
            ),
        )
        return self._process("worker", node.name, command, node.netns)

    def machine_worker(self, url: str, host: str, accelerator: str) -> Process:
        """The worker of this machine itself, head and host at once."""
        command = self._module(
            "shoal_worker",
            *("--server", url, "--host", host, "--role", "host"),
            *("--state", str(self.state / "worker"), "--accelerator", accelerator),
        )
        return self._process("worker", host, command)

    @property
    def simulated_state(self) -> Path:
        """State of all simulated hosts: a folder for each, so that they outlive their process as real ones do."""
        return self.state / "workers"

    def simulated_workers(self, url: str, hosts: Sequence[str], head: str, *, head_worker: bool) -> Process:
        """All hosts of a simulated cluster, in one process."""
        command = self._module(
            "shoal_worker",
            *("--simulate", "--server", url, "--hosts", fold(hosts), "--head", head),
            *("--state", str(self.simulated_state)),
            *(("--head-worker",) if head_worker else ()),
        )
        return self._process("worker", "simulated", command)


def _numbered(word: str, number: int) -> str:
    """The first of several bears no number."""
    return word if number == 1 else f"{word}{number}"
