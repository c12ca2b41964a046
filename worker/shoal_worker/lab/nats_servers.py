"""Lays out the NATS servers of a cluster on one machine: ports, names, and their configuration files.

This module refuses to start anything. Several servers are a JetStream cluster: each knows the routes to all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

#: where the first server listens inside the head's namespace; the next ones take the ports after it
NATS_PORT = 4222
#: where servers of a cluster listen for each other
_ROUTE_PORT = 6222


@dataclass(frozen=True, slots=True)
class NatsServer:
    """A server, counted from 1, and where clients and other servers reach it. `route_port` 0: it is alone."""

    number: int
    address: str
    port: int
    route_port: int = 0

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"nats://{self.address}:{self.port}"


def inside(address: str, count: int) -> tuple[NatsServer, ...]:
    """Servers in a network namespace of their own, where all ports are free."""
    return _servers(address, [NATS_PORT + n for n in range(count)], [_ROUTE_PORT + n for n in range(count)])


def beside(address: str, port: int, count: int, free_port: Callable[[], int]) -> tuple[NatsServer, ...]:
    """Servers on the machine's own network: the first takes `port`, the others any that is free."""
    ports = [port, *(free_port() for _ in range(count - 1))]
    return _servers(address, ports, [free_port() for _ in range(count)] if count > 1 else [])


def _servers(address: str, ports: Sequence[int], routes: Sequence[int]) -> tuple[NatsServer, ...]:
    alone = len(ports) == 1
    return tuple(
        NatsServer(number, address, port, 0 if alone else routes[number - 1])
        for number, port in enumerate(ports, 1)
    )


def url_of(servers: Sequence[NatsServer]) -> str:
    """All servers as one URL, as clients take it."""
    return ",".join(server.url for server in servers)


def config(server: NatsServer, servers: Sequence[NatsServer], folder: Path) -> str:
    """The server's configuration file; its store and its ports file are in `folder`."""
    lines = [
        f'server_name: "nats{server.number}"',
        f'jetstream {{ store_dir: "{folder}/store" }}',
        f'ports_file_dir: "{folder}"',
    ]
    if server.route_port:
        routes = ", ".join(f'"nats://{other.address}:{other.route_port}"' for other in servers)
        lines.append(
            f'cluster {{ name: "shoal", listen: "{server.address}:{server.route_port}", routes: [{routes}] }}'
        )
    return "".join(f"{line}\n" for line in lines)
