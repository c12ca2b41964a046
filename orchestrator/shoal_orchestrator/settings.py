"""The orchestrator's settings: flags, with the environment behind them."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_SERVER = "nats://127.0.0.1:4222"


@dataclass(frozen=True, slots=True)
class Settings:
    """`head` counts only at a cluster's first start: then it is fixed. `replicas` of the streams: 1, 3 or 5."""

    server: str = DEFAULT_SERVER
    head: str = ""
    replicas: int = 1
    udp_port: int = 4789
    first_key: int = 1


def parse(arguments: Sequence[str] | None = None) -> Settings:
    """Settings from a command line; `NATS_URL` and the machine's name are the defaults."""
    parser = argparse.ArgumentParser(
        prog="shoal-orchestrator", description="Schedules and launches the VMs of a Shoal cluster."
    )
    parser.add_argument(
        "--server",
        default=os.environ.get("NATS_URL") or DEFAULT_SERVER,
        help="NATS URL (NATS_URL; %(default)s)",
    )
    parser.add_argument(
        "--head",
        default=socket.gethostname(),
        help="name of the head, at a cluster's first start (%(default)s)",
    )
    parser.add_argument(
        "--replicas", type=int, choices=(1, 3, 5), default=1, help="replicas of the streams (%(default)s)"
    )
    parser.add_argument(
        "--udp-port", type=int, default=4789, help="VXLAN port, at a cluster's first start (%(default)s)"
    )
    parser.add_argument(
        "--first-key", type=int, default=1, help="first key of private bridges, likewise (%(default)s)"
    )
    found = parser.parse_args(arguments)
    return Settings(
        server=found.server,
        head=found.head,
        replicas=found.replicas,
        udp_port=found.udp_port,
        first_key=found.first_key,
    )
