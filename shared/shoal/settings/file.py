"""The configuration file: found, read as TOML, and its sections.

Refuses to know what a setting means. A program reads its own section and what stands at the head for all; the other
sections are the other programs' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.errors import UsageError

DEFAULT_FILE = Path("/etc/shoal/shoal.toml")
VARIABLE = "SHOAL_CONFIG"
#: a section for each program that has settings
SECTIONS = ("orchestrator", "worker", "client")
#: nobody needs a larger one
_MAX_BYTES = 1 << 20


class ConfigFile(NamedTuple):
    """A file that was read: what TOML makes of it."""

    path: Path
    content: Mapping[str, object]

    def section(self, name: str) -> Mapping[str, object]:
        """The keys of a section; none where there is no such section. Raises UsageError where it is a plain value."""
        found = self.content.get(name, {})
        if not isinstance(found, dict):
            raise UsageError(f"{self.path}: `{name}` is a section: write [{name}] above its settings")
        return found

    def head(self) -> Mapping[str, object]:
        """What stands above the sections. Raises UsageError for a section that no program has."""
        for name, value in self.content.items():
            if isinstance(value, dict) and name not in SECTIONS:
                near = nearest(name, SECTIONS)
                raise UsageError(
                    f"{self.path}: unknown section [{name}]: "
                    + (f"did you mean [{near}]?" if near else f"expected [{'], ['.join(SECTIONS)}]")
                )
        return {name: value for name, value in self.content.items() if name not in SECTIONS}


def find_file(
    given: str, environ: Mapping[str, str], *, default: Path = DEFAULT_FILE, lenient: bool = False
) -> ConfigFile | None:
    """The file that is named by flag or environment, else the usual one if there is one.

    `lenient`: the usual one is passed over where it may not be read (it may hold what is for daemons only). Raises
    UsageError for a file that cannot be read, and for one that is no TOML.
    """
    named = given or environ.get(VARIABLE, "")
    path = Path(named) if named else default
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if not named:
            return None
        raise UsageError(f"there is no configuration file {path} (--config, {VARIABLE})") from None
    except OSError as error:
        if lenient and not named:
            return None
        raise UsageError(
            f"cannot read the configuration file {path}: {error.strerror}; name another with --config ({VARIABLE})"
        ) from None
    if len(body) > _MAX_BYTES:
        raise UsageError(f"the configuration file {path} is larger than 1 MiB: it is no configuration")
    return ConfigFile(path, _toml(path, body))


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one; empty if none is."""
    from difflib import get_close_matches  # noqa: PLC0415  # only who has mistyped waits for it

    return next(iter(get_close_matches(name, list(known), n=1)), "")


def _toml(path: Path, body: bytes) -> Mapping[str, object]:
    import tomllib  # noqa: PLC0415  # most calls of the command line have no file

    try:
        return tomllib.loads(body.decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"the configuration file {path} is not text in UTF-8: {error.reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the configuration file {path} is not TOML: {error}") from None
