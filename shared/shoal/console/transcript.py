"""The form of a transcript: each line of a script with what it printed, to be compared with a file.

This module refuses to know files: it makes text of lines and outcomes (LANGUAGE.md, "Output").
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from shoal.console.answers import Outcome


def entry(line: str, outcome: Outcome) -> str:
    """One line's part of a transcript, without a newline at its end.

    That is `## ` and the line (nothing at all for a blank one), its output, and its errors as `E: …`.
    """
    stripped = line.strip()
    parts = [f"## {stripped}" if stripped else ""]
    if outcome.text:
        parts.append(outcome.text)
    parts += [f"E: {error}" for error in outcome.errors]
    return "\n".join(parts)


async def transcribe(lines: Iterable[str], run: Callable[[str], Awaitable[Outcome]]) -> AsyncIterator[str]:
    """Run lines one after another and give each one's part of the transcript."""
    for line in lines:
        yield entry(line, await run(line))
