"""Which value counts: a flag's before the environment's, that before the file's, and that before the default.

Refuses to know the machine. It remembers where each value came from, so that an error can say where to change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.errors import UsageError
from shoal.settings.declaring import Program, Setting, Value
from shoal.settings.file import ConfigFile, nearest


class Found(NamedTuple):
    """The value of every setting of a program, by name, and where it was said (empty: nowhere, it is the default)."""

    values: Mapping[str, Value]
    origins: Mapping[str, str]

    def origin(self, name: str) -> str:
        """Where a value was said: `--max-vms`, `SHOAL_MAX_VMS`, or the key and its file."""
        return self.origins.get(name) or f"--{name}"

    def text(self, name: str) -> str:
        """A setting of kind text."""
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def integer(self, name: str) -> int:
        """A setting of kind integer."""
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        """A setting of kind number."""
        value = self.values[name]
        assert isinstance(value, int | float)
        return float(value)

    def switch(self, name: str) -> bool:
        """A setting of kind switch."""
        return self.values[name] is True

    def path(self, name: str) -> Path | None:
        """A setting of kind path; None where nothing is set."""
        value = self.values[name]
        assert value is None or isinstance(value, Path)
        return value


def resolve(
    program: Program, flags: Mapping[str, Value], environ: Mapping[str, str], file: ConfigFile | None
) -> Found:
    """The value of each setting; `flags` holds those that were given. An empty variable counts as none.

    Raises UsageError for a variable or a key that makes no sense, and for a key that the program does not have.
    """
    in_file = {} if file is None else _keys(program, file)
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for setting in program.settings:
        name = setting.name
        if name in flags:
            values[name], origins[name] = flags[name], setting.flag
        elif setting.environment and environ.get(setting.environment):
            values[name] = _of_variable(setting, environ[setting.environment])
            origins[name] = setting.environment
        elif name in in_file:
            values[name], origins[name] = in_file[name]
        else:
            values[name] = setting.default
    return Found(values, origins)


def _of_variable(setting: Setting, word: str) -> Value:
    try:
        return setting.read(word)
    except UsageError as error:
        raise UsageError(f"{setting.environment}: {error.message}") from None


def _keys(program: Program, file: ConfigFile) -> dict[str, tuple[Value, str]]:
    """What the file says of a program's settings: value, and where it stands. All of it is judged, used or not."""
    found: dict[str, tuple[Value, str]] = {}
    common = {setting.name: setting for setting in program.settings if setting.common}
    own = {setting.name: setting for setting in program.settings}
    for known, keys, where in (
        (common, file.head(), "above the sections"),
        (own, file.section(program.section), f"in [{program.section}]"),
    ):
        for name, value in keys.items():
            setting = known.get(name)
            if setting is None:
                raise UsageError(_unknown(file, name, where, known, program))
            try:
                found[name] = setting.accept(value), f"`{name}` {where} of {file.path}"
            except UsageError as error:
                raise UsageError(f"{file.path}: `{name}` {where}: {error.message}") from None
    return found


def _unknown(file: ConfigFile, name: str, where: str, known: Mapping[str, Setting], program: Program) -> str:
    near = nearest(name, known)
    if near:
        hint = f"did you mean `{near}`?"
    elif name in {setting.name for setting in program.settings}:
        hint = f"it belongs in a section, such as [{program.section}]"
    else:
        hint = f"expected one of {', '.join(known)}"
    return f"{file.path}: unknown setting `{name}` {where}: {hint}"
