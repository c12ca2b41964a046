"""Outcomes on the terminal: the answer on stdout, everything else on stderr; colours only for people.

This module refuses to know how outcomes come about.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

from shoal.console.answers import Outcome

_STATES: Mapping[str, str] = {
    "RUNNING": "32",
    "BUILDING": "36",
    "PAUSED": "33",
    "QUIT": "90",
    "ERROR": "31",
    "LOST": "31",
    "alive": "32",
    "suspect": "33",
    "lost": "31",
}
_STATE = re.compile(
    r"(?<=\| )(?:" + "|".join(_STATES) + r")(?=\s*(?:\||$))|^(?:RUNNING|ERROR)$", re.MULTILINE
)
#: what a terminal might obey instead of showing it
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether to use colours there: on a terminal, unless NO_COLOR is set (no-color.org) or TERM is dumb."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def terminal_width(stream: TextIO) -> int:
    """How many characters a line of that terminal takes; 0 for what is none, or does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        return 0


class Printer:
    """Writes outcomes to two streams, with colours where they are terminals that want them."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        self._out = out
        self._err = err
        self._out_colour = wants_colour(out, environment)
        self._err_colour = wants_colour(err, environment)

    @property
    def width(self) -> int:
        """What fits into a line of the answer, in characters; 0 where there is no bound."""
        return terminal_width(self._out)

    def outcome(self, outcome: Outcome) -> None:
        """Print errors, their details and notes, then the answer."""
        for error in outcome.errors:
            self._error_line(self._coloured("E: ", "31") + error)
        for line in (*outcome.details, *(f"note: {note}" for note in outcome.notes)):
            self._error_line(line)
        self.text(outcome.text)

    def beside(self, outcome: Outcome) -> None:
        """Print only what does not belong into a transcript: details and notes."""
        self.outcome(Outcome(details=outcome.details, notes=outcome.notes))

    def text(self, text: str) -> None:
        """Print an answer; nothing for an empty one."""
        if not text:
            return
        if self._out.isatty():
            text = _CONTROL.sub("?", text)
        if self._out_colour:
            text = _STATE.sub(lambda found: f"\x1b[{_STATES[found[0]]}m{found[0]}\x1b[0m", text)
        self.line(text)

    def line(self, text: str) -> None:
        """Print this line to stdout as it is, at once."""
        print(text, file=self._out, flush=True)

    def _error_line(self, line: str) -> None:
        self._out.flush()
        print(line, file=self._err, flush=True)

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._err_colour else text
