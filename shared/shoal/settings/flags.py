"""A daemon's command line, made from its settings.

Refuses to know what the settings are for. The command line `shoal` reads its own options: words follow them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from shoal.errors import UsageError
from shoal.settings.declaring import Program, Setting, Value
from shoal.settings.file import DEFAULT_FILE, VARIABLE, find_file
from shoal.settings.resolving import Found, resolve
from shoal.version import version


class Read:
    """What a command line, the environment and the file say of a program's settings."""

    def __init__(self, parser: argparse.ArgumentParser, found: Found) -> None:
        self._parser = parser
        self.found = found

    def refuse(self, name: str, expected: str) -> NoReturn:
        """Leave by SystemExit(2): the value of a setting makes no sense. The message says where it was given."""
        self._parser.error(f"{self.found.origin(name)}: {expected}")

    def fail(self, message: str) -> NoReturn:
        """Leave by SystemExit(2) with a message."""
        self._parser.error(message)


def read_settings(
    program: Program,
    arguments: Sequence[str] | None,
    environ: Mapping[str, str],
    *,
    default_file: Path = DEFAULT_FILE,
) -> Read:
    """Read a daemon's settings (the process's arguments for None). Leaves by SystemExit(2) when they make no sense."""
    parser = parser_of(program)
    flags = vars(parser.parse_args(arguments))
    try:
        file = find_file(flags.pop("config", ""), environ, default=default_file)
        return Read(parser, resolve(program, flags, environ, file))
    except UsageError as error:
        parser.error(error.message)


def parser_of(program: Program) -> argparse.ArgumentParser:
    """A parser that leaves what is not given out of its result."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog=program.name,
        description=program.description,
        argument_default=argparse.SUPPRESS,
        epilog=f"Each can also be set in [{program.section}] of the configuration file: docs/configuration.md.",
    )
    parser.add_argument("--version", action="version", version=f"{program.name} {version()}")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"the configuration file ({VARIABLE}; {DEFAULT_FILE} if it is there)",
    )
    for setting in program.settings:
        _add(parser, setting)
    return parser


def _add(parser: argparse.ArgumentParser, setting: Setting) -> None:
    behind = "; ".join(part for part in (setting.environment, setting.default_text) if part)
    told = f"{setting.help} ({behind})" if behind else setting.help
    told = told.replace("%", "%%")
    if setting.kind == "switch":
        parser.add_argument(setting.flag, dest=setting.name, action=argparse.BooleanOptionalAction, help=told)
        return
    parser.add_argument(
        setting.flag,
        dest=setting.name,
        type=_reader(setting),
        metavar=setting.metavar or (f"{{{','.join(setting.choices)}}}" if setting.choices else None),
        help=told,
    )


def _reader(setting: Setting) -> Callable[[str], Value]:
    def read(word: str) -> Value:
        try:
            return setting.read(word)
        except UsageError as error:
            raise argparse.ArgumentTypeError(error.message) from None

    return read
