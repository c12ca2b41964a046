"""The program's arguments: options first, then words of the command language, untouched.

This module refuses to know what the words mean. Options end at the first word: whatever follows belongs to the
command, so that `shoal vm config coschedule -1` needs no `--`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from shoal.cli.programs import PROGRAMS
from shoal.console.tables import Mode
from shoal.errors import UsageError

DEFAULT_SERVER = "nats://127.0.0.1:4222"
_VALUED_OPTIONS = ("-e", "-o", "--output", "--server", "--namespace", "--timeout")
_HELP_OPTIONS = ("-h", "--help")
_OUTPUTS: Mapping[str, Mode] = {"table": "table", "json": "objects", "csv": "csv", "name": "names"}

HELP = """\
shoal: pools the hosts of a cluster into namespaces and runs virtual machines in them

  shoal                          a prompt, with completion
  shoal <command>                one command: shoal vm info
  shoal -e '<command>'           the same as one text; may be repeated
  shoal read <file>              a script, checked before its first line runs
        --echo                   print it as a transcript: each line with what it printed
        --strict                 stop at the first line that fails
        --check                  only look for lines that are no commands
  shoal up                       a cluster on this machine, in the foreground
  shoal lab --hosts 3 [-- cmd]   several hosts on this machine, to try things
  shoal guest build              a small guest to try with
  shoal plan                     the scheduler without a cluster
  shoal worker, orchestrator     the daemons

options, before the command:
  --server URL                   where NATS is (NATS_URL; nats://127.0.0.1:4222)
  --namespace NAME               the active namespace of this call (SHOAL_NAMESPACE; minimega)
  -o table|json|csv|name         how tables are printed
  --timeout SECONDS              how long a command may take
  --version, --help

`shoal help` lists the commands, `shoal help vm launch` tells about one; `shoal lab --help` tells about a program.
Exit codes: 0 ok, 1 failed, 2 usage, 3 partly, 4 denied, 5 not found or no cluster, 6 a plan would change,
124 timed out."""


class Options(NamedTuple):
    """What the arguments and the environment say. `words` is the command, `lines` are those of `-e`."""

    server: str
    namespace: str
    output: Mode = "table"
    timeout_s: float | None = None
    lines: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    help: bool = False
    version: bool = False


def parse_options(
    arguments: Sequence[str], environment: Mapping[str, str], default_namespace: str
) -> Options:
    """Read the arguments (without the program's name). Raises UsageError."""
    for argument in arguments:
        if not _is_text(argument):
            raise UsageError(f"the argument {argument!r} is not text in UTF-8")
    left = list(arguments)
    given: dict[str, str] = {}
    lines: list[str] = []
    while left and left[0].startswith("-") and left[0] != "-":
        name, equals, value = left.pop(0).partition("=")
        if name == "--":
            break
        if name in (*_HELP_OPTIONS, "--version") and not equals:
            given[name] = "yes"
            continue
        if name not in _VALUED_OPTIONS:
            raise UsageError(f"unknown option `{name}`; `shoal --help` lists them")
        if not equals:
            if not left:
                raise UsageError(f"the option `{name}` needs a value; see `shoal --help`")
            value = left.pop(0)
        if name == "-e":
            lines.append(value)
        given[name] = value
    if lines and left:
        raise UsageError("give either `-e '<command>'` or a command as words, not both")
    return Options(
        server=given.get("--server") or environment.get("NATS_URL") or DEFAULT_SERVER,
        namespace=given.get("--namespace") or environment.get("SHOAL_NAMESPACE") or default_namespace,
        output=_output(given.get("-o") or given.get("--output") or "table"),
        timeout_s=_seconds(given["--timeout"]) if "--timeout" in given else None,
        lines=tuple(lines),
        words=tuple(left),
        help="-h" in given or "--help" in given,
        version="--version" in given,
    )


def misplaced(words: Sequence[str]) -> str:
    """What to tell someone whose `words` are no command, if it is an argument that belongs elsewhere; else empty."""
    if len(words) > 1 and words[0] == "help" and words[1] in PROGRAMS:
        return f"`{words[1]}` is a program of its own: `shoal {words[1]} --help`"
    for position, word in enumerate(words):
        name = word.partition("=")[0]
        command = " ".join(words[:position])
        if name in _VALUED_OPTIONS:
            return f"options stand before the command: `shoal {name} … {command}`"
        if name in _HELP_OPTIONS:
            return f"ask for help with `shoal help {command}`"
    return ""


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _output(text: str) -> Mode:
    if text not in _OUTPUTS:
        raise UsageError(f"unknown output `{text}`: expected one of {', '.join(_OUTPUTS)}")
    return _OUTPUTS[text]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"invalid timeout `{text}`: expected seconds, more than 0")
    return seconds


class ReadOptions(NamedTuple):
    """The arguments of `shoal read`."""

    file: str
    echo: bool = False
    strict: bool = False
    check: bool = False


def parse_read(arguments: Sequence[str]) -> ReadOptions:
    """Read what follows `shoal read`. Raises UsageError."""
    flags: set[str] = set()
    files: list[str] = []
    for argument in arguments:
        if argument in ("--echo", "--strict", "--check"):
            flags.add(argument)
        elif argument.partition("=")[0] in _VALUED_OPTIONS:
            name = argument.partition("=")[0]
            raise UsageError(f"the option `{name}` stands before the command: `shoal {name} … read …`")
        elif argument.startswith("-") and argument != "-":
            raise UsageError(f"unknown option `{argument}` of read: expected --echo, --strict or --check")
        else:
            files.append(argument)
    if files[1:] == ["check"]:
        flags.add("--check")
        files = files[:1]
    if len(files) != 1:
        raise UsageError("expected one file: shoal read [--echo] [--strict] [--check] <file>")
    return ReadOptions(files[0], "--echo" in flags, "--strict" in flags, "--check" in flags)
