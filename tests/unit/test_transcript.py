"""The form of transcripts."""

from __future__ import annotations

import pytest

from shoal.console.answers import Outcome
from shoal.console.transcript import entry, transcribe


@pytest.mark.parametrize(
    ("line", "outcome", "text"),
    [
        ("vm info", Outcome("name\nfoo"), "## vm info\nname\nfoo"),
        ("  vm start all ", Outcome(), "## vm start all"),
        ("# a comment", Outcome(), "## # a comment"),
        ("", Outcome(), ""),
        ("   ", Outcome(), ""),
        ("vm kill x", Outcome(errors=("vm not found: x",), exit_code=5), "## vm kill x\nE: vm not found: x"),
        (
            "vm start x,y",
            Outcome("text", ("a", "b"), ("details",), ("notes",), 3),
            "## vm start x,y\ntext\nE: a\nE: b",
        ),
    ],
)
def test_an_entry(line: str, outcome: Outcome, text: str) -> None:
    """A line with `## `, its output, its errors; details and notes are not in a transcript."""
    assert entry(line, outcome) == text


async def test_lines_are_run_one_after_another() -> None:
    """Each line is run once its predecessor has answered."""

    async def run(line: str) -> Outcome:
        return Outcome(line.upper() if line and not line.startswith("#") else "")

    parts = [part async for part in transcribe(["a", "", "# c", "b"], run)]
    assert "\n".join(parts) == "## a\nA\n\n## # c\n## b\nB"
