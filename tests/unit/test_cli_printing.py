"""Outcomes on terminals and elsewhere."""

from __future__ import annotations

import io

import pytest

from shoal.cli.printing import Printer, wants_colour
from shoal.console.answers import Outcome


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def printed(outcome: Outcome, stream: type[io.StringIO], **environment: str) -> tuple[str, str]:
    out, err = stream(), stream()
    Printer(out, err, environment).outcome(outcome)
    return out.getvalue(), err.getvalue()


FAILED = Outcome("name | state\na    | RUNNING", ("no",), ("why",), ("by the way",), 3)


def test_only_the_answer_is_on_stdout() -> None:
    """Errors, details and notes go to stderr, the answer to stdout, and nothing is coloured in a file."""
    assert printed(FAILED, io.StringIO) == (
        "name | state\na    | RUNNING\n",
        "E: no\nwhy\nnote: by the way\n",
    )


def test_nothing_prints_nothing() -> None:
    """An empty outcome prints nothing, not even a newline."""
    assert printed(Outcome(), io.StringIO) == ("", "")


def test_states_have_colours_on_a_terminal() -> None:
    """On a terminal a state is coloured, and with the colours taken away the text is the same."""
    out, err = printed(FAILED, Terminal)
    assert out == "name | state\na    | \x1b[32mRUNNING\x1b[0m\n"
    assert err.startswith("\x1b[31mE: \x1b[0mno\n")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_unwanted(environment: dict[str, str]) -> None:
    """NO_COLOR and a dumb terminal get plain text."""
    assert printed(FAILED, Terminal, **environment) == printed(FAILED, io.StringIO)
    assert not wants_colour(Terminal(), environment)


def test_names_are_not_coloured() -> None:
    """Only whole cells that are states are coloured, not a VM's name that holds such a word."""
    out, _ = printed(Outcome("name     | state\nRUNNING2 | x\nlost     | y | RUNNING-1"), Terminal)
    assert "\x1b" not in out


def test_a_terminal_is_shown_control_characters_and_does_not_obey_them() -> None:
    """Escape sequences that came from somebody else's tag or file are not sent to a terminal."""
    assert printed(Outcome("a\x1b[2Jb\tc\nd\x9b"), Terminal)[0] == "a?[2Jb\tc\nd?\n"
    assert printed(Outcome("a\x1b[2J"), io.StringIO)[0] == "a\x1b[2J\n"
