"""The words of `shoal lab` and `shoal up`, read and judged.

This module refuses to open, start or check anything on the machine.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from shoal.core import names, ranges
from shoal.errors import InvalidRequest, UsageError
from shoal_worker.lab.layout import MAX_HOSTS, RESERVED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT_UP_PORT = 4222
_MAX_PORT = 65535
MAX_ORCHESTRATORS = 9


@dataclass(frozen=True, slots=True)
class LabSettings:
    """`state` None: a temporary directory. `port` 0: any free one. No `command`: wait for Ctrl-C."""

    hosts: tuple[str, ...]
    simulate: bool = False
    head_worker: bool = False
    state: Path | None = None
    port: int = 0
    accelerator: str = "auto"
    timeout_s: float = 180.0
    orchestrators: int = 1
    nats: int = 1
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpSettings:
    """A cluster of this machine alone. `clean`: end the guests too when it ends."""

    state: Path
    port: int = _DEFAULT_UP_PORT
    clean: bool = False
    simulate: bool = False
    accelerator: str = "auto"
    timeout_s: float = 180.0


class _Parser(argparse.ArgumentParser):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}; see `{self.prog} --help`")


def _parser() -> _Parser:
    parser = _Parser(prog="shoal", description="A cluster on one machine.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    lab = verbs.add_parser("lab", help="several hosts as network namespaces, or simulated")
    lab.add_argument("--hosts", default="3", help="a number, or a range such as 'mm[1-3]' (%(default)s)")
    lab.add_argument("--head-worker", action="store_true", help="the head takes guests too")
    lab.add_argument(
        "--orchestrators",
        type=int,
        default=1,
        metavar="N",
        help="one leads, the others stand by (%(default)s)",
    )
    lab.add_argument(
        "--nats",
        type=int,
        choices=(1, 3, 5),
        default=1,
        help="NATS servers; several are a cluster (%(default)s)",
    )
    up = verbs.add_parser("up", help="this machine alone: NATS, orchestrator and worker")
    up.add_argument("--clean", action="store_true", help="end the guests too when it ends")
    for verb, port, state in ((lab, 0, "a temporary one"), (up, _DEFAULT_UP_PORT, "kept")):
        verb.add_argument("--simulate", action="store_true", help="simulated guests and links; needs no root")
        verb.add_argument("--state", type=Path, help=f"state directory ({state})")
        verb.add_argument(
            "--port",
            type=int,
            default=port,
            help="of NATS, on 127.0.0.1" + (" (%(default)s)" if port else " (any free one)"),
        )
        verb.add_argument(
            "--accelerator",
            choices=("auto", "kvm", "tcg"),
            default="auto",
            help="of the guests (%(default)s)",
        )
        verb.add_argument(
            "--timeout",
            type=float,
            default=180.0,
            help="seconds until every host must be alive (%(default)g)",
        )
    lab.usage = "shoal lab [options] [-- COMMAND...]"
    return parser


def default_up_state(environ: Mapping[str, str], *, root: bool) -> Path:
    """`/var/lib/shoal/up` for root, else below XDG_STATE_HOME (XDG Base Directory Specification)."""
    if root:
        return Path("/var/lib/shoal/up")
    base = environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local/state") / "shoal/up"


def parse(
    arguments: Sequence[str], *, environ: Mapping[str, str] | None = None, root: bool = False
) -> LabSettings | UpSettings:
    """Settings from `lab …` or `up …`. What follows `--` is the command. Raises UsageError (and exits for --help)."""
    words = list(arguments)
    command: tuple[str, ...] = ()
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], tuple(words[at + 1 :])
        if not command:
            raise UsageError("shoal lab: a command is expected after `--`")
    found, unknown = _parser().parse_known_args(words)
    if unknown:
        raise UsageError(
            f"shoal {found.verb}: unrecognized arguments: {' '.join(unknown)}; see `shoal {found.verb} --help`",
            details=_hints(found.verb, unknown),
        )
    if not 0 <= found.port <= _MAX_PORT:
        raise UsageError(
            f"shoal {found.verb}: no port {found.port}: expected 0 (any free one) to {_MAX_PORT}"
        )
    state = found.state.absolute() if found.state else None
    if found.verb == "lab":
        return LabSettings(
            hosts=lab_hosts(found.hosts),
            simulate=found.simulate,
            head_worker=found.head_worker,
            state=state,
            port=found.port,
            accelerator=found.accelerator,
            timeout_s=found.timeout,
            orchestrators=_counted(found.orchestrators, "--orchestrators", MAX_ORCHESTRATORS),
            nats=found.nats,
            command=command,
        )
    if command:
        raise UsageError("shoal up: takes no command; `shoal lab` does")
    return UpSettings(
        state=state or default_up_state(os.environ if environ is None else environ, root=root),
        port=found.port,
        clean=found.clean,
        simulate=found.simulate,
        accelerator=found.accelerator,
        timeout_s=found.timeout,
    )


def _hints(verb: str, unknown: Sequence[str]) -> tuple[str, ...]:
    """What arguments that are none may have been meant as."""
    if verb != "lab":
        return ()
    if len(unknown) == 1 and unknown[0].isdecimal():
        return (f"how many hosts: `shoal lab --hosts {unknown[0]}`",)
    if unknown[0].startswith("-"):
        return ()
    return (f"a command stands after `--`: `shoal lab … -- {' '.join(unknown)}`",)


def _counted(number: int, option: str, most: int) -> int:
    if not 1 <= number <= most:
        raise UsageError(f"shoal lab: {option}: expected 1 to {most}, not {number}")
    return number


def lab_hosts(text: str) -> tuple[str, ...]:
    """The hosts of a lab: `3` means mm1, mm2, mm3; else a range. Raises UsageError for none, and for bad names."""
    if text.isdecimal():
        text = f"mm[1-{int(text)}]" if int(text) else ""
    try:
        found = tuple(dict.fromkeys(names.check_host(name) for name in ranges.expand(text, limit=MAX_HOSTS)))
    except InvalidRequest as error:
        raise UsageError(f"shoal lab: --hosts: {error.message}") from error
    if not found:
        raise UsageError(
            "shoal lab: --hosts: expected at least one host: a number, or a range such as 'mm[1-3]'"
        )
    taken = sorted(RESERVED & set(found))
    if taken:
        raise UsageError(f"shoal lab: --hosts: {taken[0]} cannot be a host's name in a lab: choose another")
    return found
