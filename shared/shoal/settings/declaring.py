"""What a setting is: its name, its kind, where it may be set, and what is read from a word or from a file's value.

Refuses to know where the words come from. A setting is declared once; the flag, the variable, the key in the file and
the table in docs/configuration.md all come from its declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from shoal.errors import UsageError

Kind = Literal["text", "integer", "number", "switch", "path"]
Value = str | int | float | bool | Path | None

DEFAULT_SERVER = "nats://127.0.0.1:4222"
_EXPECTED: Mapping[Kind, str] = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "switch": "true or false",
    "path": "a path",
}
#: words of a switch in the environment
_YES, _NO = ("1", "true"), ("0", "false")


class Setting(NamedTuple):
    """One setting. `name` is its key in the file; with two dashes before it, it is the flag.

    `default` None: nothing is set. `shown` stands for the default in texts where it depends on the machine.
    `common`: it may also stand at the head of the file, for every program that has it. `cli_short`: a second flag.
    """

    name: str
    help: str
    kind: Kind = "text"
    default: Value = ""
    environment: str = ""
    choices: tuple[str, ...] = ()
    metavar: str = ""
    shown: str = ""
    common: bool = False
    cli_short: str = ""

    @property
    def flag(self) -> str:
        """The flag, such as `--max-vms`."""
        return f"--{self.name}"

    @property
    def default_text(self) -> str:
        """The default in words, for people."""
        if self.shown:
            return self.shown
        if isinstance(self.default, bool):
            return "true" if self.default else "false"
        return "" if self.default is None else f"{self.default}"

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return _EXPECTED[self.kind]

    def read(self, word: str) -> Value:
        """The value that a word of a flag or of the environment means. Raises UsageError with what was expected."""
        value: Value = None
        if self.kind == "switch":
            value = True if word.lower() in _YES else False if word.lower() in _NO else None
        elif self.kind == "path":
            value = Path(word)
        elif self.kind == "text":
            value = word
        else:
            try:
                value = int(word) if self.kind == "integer" else float(word)
            except ValueError:
                value = None
        return self._chosen(value, word)

    def accept(self, value: object) -> Value:
        """The value that one of a TOML file means. Raises UsageError with what was expected."""
        fits: Value = None
        if self.kind == "switch":
            fits = value if isinstance(value, bool) else None
        elif self.kind in ("integer", "number"):
            number = isinstance(value, int) and not isinstance(value, bool)
            if number or (self.kind == "number" and isinstance(value, float)):
                assert isinstance(value, int | float)
                fits = value if self.kind == "integer" else float(value)
        elif isinstance(value, str) and value:
            fits = Path(value) if self.kind == "path" else value
        return self._chosen(fits, value)

    def _chosen(self, value: Value, given: object) -> Value:
        if value is None or (self.choices and str(value) not in self.choices):
            shown = f"`{given}`" if isinstance(given, str) else str(given).lower()
            raise UsageError(f"expected {self.expected}, not {shown}")
        return value


class Program(NamedTuple):
    """A program that has settings: its name, its section of the file, and what it is in a sentence."""

    name: str
    section: str
    description: str
    settings: tuple[Setting, ...]


#: where the bus is: every program has it
SERVER = Setting(
    "server",
    "NATS URL; several, with commas between them, for a cluster of servers",
    default=DEFAULT_SERVER,
    environment="NATS_URL",
    metavar="URL",
    common=True,
)
#: where scrapes are answered: both daemons have it
METRICS = Setting(
    "metrics",
    "answer Prometheus' scrapes there, with extra `metrics`",
    environment="SHOAL_METRICS",
    metavar="HOST:PORT",
    shown="off",
)
