"""The generated reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cli.reference import main, reference
from shoal.console.local import LOCAL_COMMANDS
from shoal.messages.catalogue import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_is_not_stale() -> None:
    """docs/commands.md is what the classes say now: `make docs` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_every_command_has_a_section() -> None:
    """There is a section for each command, with its subject for those that are sent."""
    text = reference()
    assert text.count("\n### ") == len(COMMANDS) + len(LOCAL_COMMANDS)
    assert text.count("\nSubject: `shoal.") == len(COMMANDS)
    assert "Subject: `shoal.ns.<namespace>.vm.launch`. Fields: `names` (required)" in text


def test_it_prints_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m shoal.cli.reference` prints the page."""
    assert main() == 0
    assert capsys.readouterr().out == reference()
