"""The program's arguments: options first, then words of the command language, untouched.

This module refuses to know what the words mean. Options end at the first word: whatever follows belongs to the
command, so that `shoal vm config coschedule -1` needs no `--`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from shoal.cli.programs import PROGRAMS
from shoal.console.tables import Mode
from shoal.core.names import check_namespace
from shoal.errors import InvalidRequest, UsageError
from shoal.settings.declaring import SERVER, Program, Setting, Value
from shoal.settings.file import VARIABLE, ConfigFile
from shoal.settings.resolving import Found, resolve

_OUTPUTS: Mapping[str, Mode] = {"table": "table", "json": "objects", "csv": "csv", "name": "names"}
PROGRAM = Program(
    "shoal",
    "client",
    "pools the hosts of a cluster into namespaces and runs virtual machines in them",
    (
        SERVER,
        Setting(
            "namespace",
            "the active namespace of this call",
            environment="SHOAL_NAMESPACE",
            metavar="NAME",
            shown="minimega",
        ),
        Setting("output", "how tables are printed", default="table", choices=tuple(_OUTPUTS), cli_short="-o"),
        Setting(
            "timeout",
            "how long a command may take, in seconds",
            "number",
            None,
            metavar="SECONDS",
            shown="as long as it takes",
        ),
    ),
)
VALUED_OPTIONS = ("-e", "-o", "--output", "--server", "--namespace", "--timeout", "--config")
_HELP_OPTIONS = ("-h", "--help")
PLAIN_OPTIONS = (*_HELP_OPTIONS, "--version")

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
  shoal top                      the cluster at a glance, once a second
  shoal doctor                   what is wrong with the cluster, and what to do
  shoal plan                     the scheduler without a cluster
  shoal worker, orchestrator     the daemons
  shoal completion bash|zsh|fish what makes a shell complete the words of shoal

options, before the command:
  --server URL                   where NATS is (NATS_URL; nats://127.0.0.1:4222)
  --namespace NAME               the active namespace of this call (SHOAL_NAMESPACE; minimega)
  -o table|json|csv|name         how tables are printed
  --timeout SECONDS              how long a command may take
  --config FILE                  where these and the daemons' settings may stand (SHOAL_CONFIG;
                                 /etc/shoal/shoal.toml)
  --version, --help

`shoal help` lists the commands, `shoal help vm launch` tells about one; `shoal lab --help` tells about a program.
Exit codes: 0 ok, 1 failed, 2 usage, 3 partly, 4 denied, 5 not found or no cluster, 6 a plan would change,
124 timed out."""


class Options(NamedTuple):
    """What arguments, environment and file say. `words` is the command, `lines` are those of `-e`.

    `passed_on` are variables for the programs that `shoal` may become: what was said by option alone.
    """

    server: str
    namespace: str
    output: Mode = "table"
    timeout_s: float | None = None
    lines: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    help: bool = False
    version: bool = False
    passed_on: tuple[tuple[str, str], ...] = ()


def _no_file(named: str) -> ConfigFile | None:
    del named
    return None


def parse_options(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    default_namespace: str,
    find: Callable[[str], ConfigFile | None] = _no_file,
) -> Options:
    """Read the arguments (without the program's name). `find` gives the configuration file, by the name that
    `--config` says or by none. Raises UsageError.
    """
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
        if name in PLAIN_OPTIONS and not equals:
            given[name] = "yes"
            continue
        if name not in VALUED_OPTIONS:
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
    if any(name in given for name in PLAIN_OPTIONS):
        # what nothing that is wrong elsewhere must stand in the way of
        find, environment = _no_file, {}
    found = resolve(PROGRAM, _flags(given), environment, find(given.get("--config", "")))
    return Options(
        server=found.text("server"),
        namespace=_namespace(found) or default_namespace,
        output=_OUTPUTS[found.text("output")],
        timeout_s=_timeout(found),
        lines=tuple(lines),
        words=tuple(left),
        help="-h" in given or "--help" in given,
        version="--version" in given,
        passed_on=tuple(
            (variable, given[option])
            for option, variable in (("--server", "NATS_URL"), ("--config", VARIABLE))
            if given.get(option)
        ),
    )


def _flags(given: Mapping[str, str]) -> dict[str, Value]:
    """The settings among the options. An empty server or namespace counts as none."""
    flags: dict[str, Value] = {
        name: given[f"--{name}"] for name in ("server", "namespace") if given.get(f"--{name}")
    }
    output = given.get("-o") or given.get("--output")
    if output:
        if output not in _OUTPUTS:
            raise UsageError(f"unknown output `{output}`: expected one of {', '.join(_OUTPUTS)}")
        flags["output"] = output
    if "--timeout" in given:
        flags["timeout"] = _seconds(given["--timeout"])
    return flags


def _namespace(found: Found) -> str:
    """The namespace that is named, if any. UsageError for what cannot be one: nothing is to be asked of it."""
    name = found.text("namespace")
    try:
        return check_namespace(name) if name else ""
    except InvalidRequest as error:
        raise UsageError(f"{found.origin('namespace')}: {error.message}") from None


def _timeout(found: Found) -> float | None:
    if found.values["timeout"] is None:
        return None
    seconds = found.number("timeout")
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{found.origin('timeout')}: expected seconds, more than 0, not {seconds:g}")
    return seconds


def misplaced(words: Sequence[str]) -> str:
    """What to tell someone whose `words` are no command, if it is an argument that belongs elsewhere; else empty."""
    if len(words) > 1 and words[0] == "help" and words[1] in (*PROGRAMS, "top", "completion"):
        return f"`{words[1]}` is a program of its own: `shoal {words[1]} --help`"
    for position, word in enumerate(words):
        name = word.partition("=")[0]
        command = " ".join(words[:position])
        if name in VALUED_OPTIONS:
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
        elif argument.partition("=")[0] in VALUED_OPTIONS:
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
