"""The worker's settings: from flags, the environment, the configuration file and the machine.

Refuses to open, connect to or check anything but the words themselves.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

from shoal.core import names, ranges
from shoal.core.addresses import check_underlay
from shoal.core.load import Capacity, Quota, host_quota
from shoal.errors import InvalidRequest
from shoal.messages.desired import Role
from shoal.metrics.serving import Address, parse_address
from shoal.settings.declaring import DEFAULT_SERVER, METRICS, SERVER, Program, Setting
from shoal.settings.flags import Read, read_settings

NATS_PORT = 4222
DEFAULT_FILE_CACHE_GIB = 20
DEFAULT_FILES = Path("/var/lib/shoal/files")
Accelerator = Literal["auto", "kvm", "tcg"]


PROGRAM = Program(
    "shoal-worker",
    "worker",
    "Runs the VMs of a Shoal cluster on this host, and builds its tunnels.",
    (
        SERVER,
        Setting("host", "this host's name in the cluster", shown="this machine's name"),
        Setting("role", "`edge`: taps and segments, no guests", default="host", choices=("host", "edge")),
        Setting(
            "state",
            "state directory",
            "path",
            None,
            metavar="DIR",
            shown="/var/lib/shoal/worker; without root below XDG_STATE_HOME",
        ),
        Setting(
            "underlay",
            "address that tunnels end at",
            metavar="ADDRESS",
            shown="the one on the way to the server",
        ),
        Setting(
            "accelerator",
            "`auto`: KVM where a test guest boots under it",
            default="auto",
            choices=("auto", "kvm", "tcg"),
        ),
        Setting(
            "hypervisor-uri", "`qemu:///embed` or `qemu:///system`", default="qemu:///embed", metavar="URI"
        ),
        Setting("creations", "guests created at once", "integer", 0, metavar="N", shown="3; simulated: 16"),
        Setting(
            "file-cache",
            "the most that fetched files may take here, in GiB",
            "number",
            DEFAULT_FILE_CACHE_GIB,
            environment="SHOAL_FILE_CACHE",
            metavar="GIB",
        ),
        Setting(
            "files",
            "on the head: files that VMs may be launched with",
            "path",
            None,
            environment="SHOAL_FILES",
            metavar="DIR",
            shown=str(DEFAULT_FILES),
        ),
        Setting(
            "allow-shell",
            "let `ns run shell` and `mesh send` run programs here as the worker's user",
            "switch",
            default=False,
            environment="SHOAL_ALLOW_SHELL",
        ),
        METRICS,
        Setting(
            "cpu-overcommit",
            "vCPUs that VMs may be promised, for each CPU; 0: any number",
            "number",
            0,
            environment="SHOAL_CPU_OVERCOMMIT",
            metavar="RATIO",
        ),
        Setting(
            "memory-overcommit",
            "the same for memory",
            "number",
            0,
            environment="SHOAL_MEMORY_OVERCOMMIT",
            metavar="RATIO",
        ),
        Setting(
            "max-vms",
            "VMs that this host takes at most; -1: any number",
            "integer",
            -1,
            environment="SHOAL_MAX_VMS",
            metavar="N",
        ),
        Setting(
            "simulate",
            "no guests and links but simulated ones; needs no root. Guests outlive the process only with --state",
            "switch",
            default=False,
        ),
        Setting("hosts", "the hosts to simulate, a range such as 'mm[1-3]'", metavar="RANGE", shown="none"),
        Setting(
            "head",
            "the simulated cluster's head: role `edge`, unless it takes guests",
            metavar="HOST",
            shown="none",
        ),
        Setting("head-worker", "the simulated head takes guests", "switch", default=False),
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """`files` is the head's files directory. `metrics` is where scrapes are answered; None: nowhere. `hosts` and `head` are those of a simulation; with `keep` they are kept in `state`, as real ones are, and else in memory. Overcommit ratios of 0 and `max_vms` of -1 are no limit. An empty `underlay` is found out from the way to the server."""

    host: str
    state: Path
    server: str = DEFAULT_SERVER
    role: Role = "host"
    underlay: str = ""
    accelerator: Accelerator = "auto"
    hypervisor_uri: str = "qemu:///embed"
    creations: int = 3
    simulate: bool = False
    keep: bool = False
    hosts: tuple[str, ...] = ()
    head: str = ""
    head_worker: bool = False
    cpu_overcommit: float = 0.0
    memory_overcommit: float = 0.0
    max_vms: int = -1
    file_cache_bytes: int = DEFAULT_FILE_CACHE_GIB << 30
    allow_shell: bool = False
    files: Path | None = None
    metrics: Address | None = None

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


def parse(arguments: Sequence[str] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a command line, the environment and the file. Leaves by SystemExit(2) when they make no sense."""
    environ = os.environ if environ is None else environ
    read = read_settings(PROGRAM, arguments, environ)
    found = read.found
    simulate = found.switch("simulate")
    hosts, host, head, metrics = _named(read)
    if (hosts or head) and not simulate:
        read.refuse("hosts" if hosts else "head", "--hosts and --head are for --simulate")
    _check_numbers(read)
    return Settings(
        server=found.text("server"),
        host=host,
        role=cast("Role", found.text("role")),
        state=(found.path("state") or default_state(environ, root=os.geteuid() == 0)).absolute(),
        underlay=_underlay(read),
        accelerator=cast("Accelerator", found.text("accelerator")),
        hypervisor_uri=found.text("hypervisor-uri"),
        creations=found.integer("creations") or (16 if simulate else 3),
        simulate=simulate,
        keep=simulate and found.path("state") is not None,
        hosts=hosts or ((host,) if simulate and not head else ()),
        head=head,
        head_worker=found.switch("head-worker"),
        cpu_overcommit=found.number("cpu-overcommit"),
        memory_overcommit=found.number("memory-overcommit"),
        max_vms=found.integer("max-vms"),
        file_cache_bytes=int(found.number("file-cache") * (1 << 30)),
        allow_shell=found.switch("allow-shell"),
        metrics=metrics,
        files=(found.path("files") or (None if simulate else DEFAULT_FILES)),
    )


def _named(read: Read) -> tuple[tuple[str, ...], str, str, Address | None]:
    """Simulated hosts, our host, the simulated head, and where scrapes are answered."""
    found, name = read.found, "hosts"
    try:
        hosts = tuple(dict.fromkeys(names.check_host(host) for host in ranges.expand(found.text(name))))
        name = "host"
        host = names.check_host(found.text(name) or socket.gethostname())
        name = "head"
        head = names.check_host(found.text(name)) if found.text(name) else ""
        name = "metrics"
        return hosts, host, head, parse_address(found.text(name)) if found.text(name) else None
    except InvalidRequest as error:
        read.refuse(name, error.message)


def _underlay(read: Read) -> str:
    text = read.found.text("underlay")
    try:
        return check_underlay(text) if text else ""
    except InvalidRequest as error:
        read.refuse("underlay", error.message)


def _check_numbers(read: Read) -> None:
    found = read.found
    if found.integer("creations") < 0:
        read.refuse("creations", "must be at least 1")
    for name in ("cpu-overcommit", "memory-overcommit"):
        if not 0 <= found.number(name) < math.inf:
            read.refuse(name, "must be 0 (no limit) or more")
    if not 0 < found.number("file-cache") < math.inf:
        read.refuse("file-cache", "must be more than 0 GiB")
    if found.integer("max-vms") < -1:
        read.refuse("max-vms", "must be -1 (no limit) or more")
