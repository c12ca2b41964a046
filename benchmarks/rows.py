"""Rows of the one table that all benchmarks make, and how they are printed.

Refuses to know how anything was measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

HEAD = (
    "| what | measured | budget | naive | the peer | note |",
    "|---|--:|--:|--:|--:|---|",
)
_COLUMNS = (46, 16, 14)


class Row(msgspec.Struct, frozen=True):
    """One figure. `naive` is what the plain way to do it took in the same run, `peer` the peer's figure."""

    what: str
    value: float
    unit: str
    budget: str = ""
    naive: str = ""
    peer: str = ""
    note: str = ""

    @property
    def figure(self) -> str:
        """The value as a person reads it: three digits, more only before the point."""
        return number(self.value, self.unit)


def number(value: float, unit: str) -> str:
    """A value and its unit: three digits, more only before the point."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()


def line(row: Row) -> str:
    """A row of the table."""
    return f"| {row.what} | {row.figure} | {row.budget} | {row.naive} | {row.peer} | {row.note} |"


def show(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows: one JSON object for each line, or for people."""
    for row in rows:
        if as_json:
            print(msgspec.json.encode(row).decode(), flush=True)
            continue
        rest = (("budget", row.budget), ("naive", row.naive), ("the peer", row.peer), ("", row.note))
        told = "; ".join(f"{name} {text}".strip() for name, text in rest if text)
        print(f"{row.what:{_COLUMNS[0]}} {row.figure:>{_COLUMNS[1]}}   {told}".rstrip(), flush=True)
