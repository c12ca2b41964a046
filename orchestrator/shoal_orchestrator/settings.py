"""The orchestrator's settings: from flags, the environment and the configuration file.

Refuses to open, connect to or check anything but the words themselves.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shoal.bus.protocol import USUAL_RETENTION, Retention
from shoal.errors import InvalidRequest
from shoal.metrics.serving import Address, parse_address
from shoal.settings.declaring import DEFAULT_SERVER, METRICS, SERVER, Program, Setting
from shoal.settings.flags import Read, read_settings
from shoal_orchestrator.core.retention import age_s, size_bytes

_THIS_MACHINE = "this machine's name"
PROGRAM = Program(
    "shoal-orchestrator",
    "orchestrator",
    "Schedules and launches the VMs of a Shoal cluster.",
    (
        SERVER,
        Setting("head", "name of the head, at a cluster's first start", metavar="HOST", shown=_THIS_MACHINE),
        Setting("name", "what NATS and people call this orchestrator", shown=_THIS_MACHINE),
        Setting("replicas", "replicas of the streams", "integer", 1, choices=("1", "3", "5")),
        Setting("udp-port", "VXLAN port, at a cluster's first start", "integer", 4789, metavar="PORT"),
        Setting("first-key", "first key of private bridges, likewise", "integer", 1, metavar="KEY"),
        METRICS,
        Setting(
            "event-age",
            "how long events are kept, such as 12h",
            default="7d",
            environment="SHOAL_EVENT_AGE",
            metavar="AGE",
        ),
        Setting(
            "event-size",
            "how much of them, such as 500MiB: the oldest go first",
            default="1GiB",
            environment="SHOAL_EVENT_SIZE",
            metavar="SIZE",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """`head` counts only at a cluster's first start: then it is fixed. `replicas` of the streams: 1, 3 or 5. `metrics`
    is where scrapes are answered; None: nowhere.
    """

    server: str = DEFAULT_SERVER
    head: str = ""
    name: str = ""
    replicas: int = 1
    udp_port: int = 4789
    first_key: int = 1
    metrics: Address | None = None
    #: what the event stream keeps
    events: Retention = USUAL_RETENTION


def parse(arguments: Sequence[str] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from a command line, the environment and the file. Leaves by SystemExit(2) when they make no sense."""
    read = read_settings(PROGRAM, arguments, os.environ if environ is None else environ)
    found = read.found
    this_machine = socket.gethostname()
    return Settings(
        server=found.text("server"),
        head=found.text("head") or this_machine,
        name=found.text("name") or this_machine,
        replicas=found.integer("replicas"),
        udp_port=found.integer("udp-port"),
        first_key=found.integer("first-key"),
        metrics=_metrics(read),
        events=_retention(read),
    )


def _metrics(read: Read) -> Address | None:
    text = read.found.text("metrics")
    try:
        return parse_address(text) if text else None
    except InvalidRequest as error:
        read.refuse("metrics", error.message)


def _retention(read: Read) -> Retention:
    name = "event-age"
    try:
        age = age_s(read.found.text(name))
        name = "event-size"
        return Retention(age, size_bytes(read.found.text(name)))
    except InvalidRequest as error:
        read.refuse(name, error.message)
