"""The worker's settings: flags, with the environment and the machine behind them.

Refuses to open, connect to or check anything but the words themselves.
"""

from __future__ import annotations

import argparse
import math
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from shoal.core import names, ranges
from shoal.core.load import Capacity, Quota, host_quota
from shoal.errors import InvalidRequest
from shoal.messages.desired import Role

DEFAULT_SERVER = "nats://127.0.0.1:4222"
NATS_PORT = 4222
DEFAULT_FILE_CACHE_GIB = 20
DEFAULT_FILES = Path("/var/lib/shoal/files")
Accelerator = Literal["auto", "kvm", "tcg"]


@dataclass(frozen=True, slots=True)
class Settings:
    """`files` is the head's files directory. `hosts` and `head` are those of a simulation. Overcommit ratios of 0 and `max_vms` of -1 are no limit. An empty `underlay` is found out from the way to the server."""

    host: str
    state: Path
    server: str = DEFAULT_SERVER
    role: Role = "host"
    underlay: str = ""
    accelerator: Accelerator = "auto"
    hypervisor_uri: str = "qemu:///embed"
    creations: int = 3
    simulate: bool = False
    hosts: tuple[str, ...] = ()
    head: str = ""
    head_worker: bool = False
    cpu_overcommit: float = 0.0
    memory_overcommit: float = 0.0
    max_vms: int = -1
    file_cache_bytes: int = DEFAULT_FILE_CACHE_GIB << 30
    allow_shell: bool = False
    files: Path | None = None

    def quota(self, capacity: Capacity) -> Quota:
        """The most that a host of this capacity may be promised."""
        return host_quota(
            capacity, vcpu_ratio=self.cpu_overcommit, memory_ratio=self.memory_overcommit, vms=self.max_vms
        )

    @property
    def server_address(self) -> tuple[str, int]:
        """Name and port of the (first) server."""
        parts = urlsplit(self.server.split(",")[0])
        return parts.hostname or "127.0.0.1", parts.port or NATS_PORT


def default_state(environ: Mapping[str, str], *, root: bool) -> Path:
    """`/var/lib/shoal/worker` for root, else below XDG_STATE_HOME (XDG Base Directory Specification)."""
    if root:
        return Path("/var/lib/shoal/worker")
    base = environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "shoal/worker"


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shoal-worker",
        description="Runs the VMs of a Shoal cluster on this host, and builds its tunnels.",
    )
    add = parser.add_argument
    add(
        "--server", default=environ.get("NATS_URL") or DEFAULT_SERVER, help="NATS URL (NATS_URL; %(default)s)"
    )
    add("--host", default=socket.gethostname(), help="this host's name in the cluster (%(default)s)")
    add("--role", choices=("host", "edge"), default="host", help="`edge`: taps and segments, no guests")
    state = default_state(environ, root=os.geteuid() == 0)
    add("--state", type=Path, default=state, help="state directory (%(default)s)")
    add("--underlay", default="", help="address that tunnels end at (the one on the way to the server)")
    add("--accelerator", choices=("auto", "kvm", "tcg"), default="auto", help="%(default)s")
    add("--hypervisor-uri", default="qemu:///embed", help="`qemu:///embed` or `qemu:///system` (%(default)s)")
    add("--creations", type=int, default=0, help="guests created at once (3; simulated: 16)")
    add(
        "--file-cache",
        type=float,
        default=environ.get("SHOAL_FILE_CACHE") or str(DEFAULT_FILE_CACHE_GIB),
        metavar="GIB",
        help="the most that fetched files may take here, in GiB (SHOAL_FILE_CACHE; %(default)s)",
    )
    add(
        "--files",
        type=Path,
        default=Path(environ["SHOAL_FILES"]) if environ.get("SHOAL_FILES") else None,
        metavar="DIR",
        help=f"on the head: files that VMs may be launched with (SHOAL_FILES; {DEFAULT_FILES})",
    )
    add(
        "--allow-shell",
        action="store_true",
        default=environ.get("SHOAL_ALLOW_SHELL") == "1",
        help="let `ns run shell` and `mesh send` run programs here as the worker's user (SHOAL_ALLOW_SHELL=1; no)",
    )
    _add_limits(add, environ)
    add("--simulate", action="store_true", help="no guests and links but simulated ones; needs no root")
    add("--hosts", default="", help="the hosts to simulate, a range such as 'mm[1-3]'")
    add("--head", default="", help="the simulated cluster's head: role `edge`, unless --head-worker")
    add("--head-worker", action="store_true", help="the simulated head takes guests")
    return parser


def _add_limits(add: Callable[..., object], environ: Mapping[str, str]) -> None:
    """Add what this host may be promised; the environment speaks for all the workers of a laboratory."""
    add(
        "--cpu-overcommit",
        type=float,
        default=environ.get("SHOAL_CPU_OVERCOMMIT") or "0",
        help="vCPUs that VMs may be promised, for each CPU; 0: any number (SHOAL_CPU_OVERCOMMIT; %(default)s)",
    )
    add(
        "--memory-overcommit",
        type=float,
        default=environ.get("SHOAL_MEMORY_OVERCOMMIT") or "0",
        help="the same for memory (SHOAL_MEMORY_OVERCOMMIT; %(default)s)",
    )
    add(
        "--max-vms",
        type=int,
        default=environ.get("SHOAL_MAX_VMS") or "-1",
        help="VMs that this host takes at most; -1: any number (SHOAL_MAX_VMS; %(default)s)",
    )


def parse(arguments: Sequence[str] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a command line. Leaves by SystemExit(2), with a message, when it makes no sense."""
    parser = _parser(os.environ if environ is None else environ)
    found = parser.parse_args(arguments)
    try:
        hosts = tuple(dict.fromkeys(names.check_host(name) for name in ranges.expand(found.hosts)))
        host = names.check_host(found.host)
        head = names.check_host(found.head) if found.head else ""
    except InvalidRequest as error:
        parser.error(error.message)
    if (hosts or head) and not found.simulate:
        parser.error("--hosts and --head are for --simulate")
    if found.creations < 0:
        parser.error("--creations must be at least 1")
    if not 0 <= found.cpu_overcommit < math.inf or not 0 <= found.memory_overcommit < math.inf:
        parser.error("--cpu-overcommit and --memory-overcommit must be 0 (no limit) or more")
    if not 0 < found.file_cache < math.inf:
        parser.error("--file-cache must be more than 0 GiB")
    if found.max_vms < -1:
        parser.error("--max-vms must be -1 (no limit) or more")
    return Settings(
        server=found.server,
        host=host,
        role=cast("Role", found.role),
        state=found.state.absolute(),
        underlay=found.underlay,
        accelerator=cast("Accelerator", found.accelerator),
        hypervisor_uri=found.hypervisor_uri,
        creations=found.creations or (16 if found.simulate else 3),
        simulate=found.simulate,
        hosts=hosts or ((host,) if found.simulate and not head else ()),
        head=head,
        head_worker=found.head_worker,
        cpu_overcommit=found.cpu_overcommit,
        memory_overcommit=found.memory_overcommit,
        max_vms=found.max_vms,
        file_cache_bytes=int(found.file_cache * (1 << 30)),
        allow_shell=found.allow_shell,
        files=(found.files or (None if found.simulate else DEFAULT_FILES)),
    )
