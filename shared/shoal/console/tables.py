"""Tables to text, byte for byte as LANGUAGE.md's "Output" says; also as CSV and JSON.

This module refuses to know which command a table answers, and what a terminal is: no colours, no widths.

A `View` is a table on its way to the reader: `.columns` and `.filter` make smaller ones of it, and the host of
each row travels beside the columns, since `.annotate` may show it after `.columns` has left it out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Literal

import msgspec

from shoal.messages.base import Cell, Table

Mode = Literal["table", "csv", "json", "objects", "names"]

HOST = "host"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_CSV_QUOTED = re.compile(r'[,"\r\n]|^\s')


class View(msgspec.Struct, frozen=True):
    """Rows under columns, and beside them each row's host where it is known (else empty).

    `chosen`: the reader has named the columns.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    hidden: frozenset[str] = frozenset()
    hosts: tuple[Cell, ...] = ()
    ordered: bool = False
    chosen: bool = False

    @property
    def shown(self) -> View:
        """The same without its hidden columns."""
        if not self.hidden:
            return self
        keep = [i for i, column in enumerate(self.columns) if column not in self.hidden]
        return self.select(keep)

    def select(self, positions: Sequence[int]) -> View:
        """The same with only these columns, in this order; none of them is hidden any more."""
        return View(
            columns=tuple(self.columns[i] for i in positions),
            rows=tuple(zip(*(map(itemgetter(i), self.rows) for i in positions), strict=True)),
            hosts=self.hosts,
            ordered=self.ordered,
            chosen=self.chosen,
        )

    def keep(self, wanted: Callable[[tuple[Cell, ...]], bool]) -> View:
        """The same with only the rows that are wanted."""
        kept = [i for i, row in enumerate(self.rows) if wanted(row)]
        return msgspec.structs.replace(
            self,
            rows=tuple(self.rows[i] for i in kept),
            hosts=tuple(self.hosts[i] for i in kept) if self.hosts else (),
        )


def view_of(table: Table) -> View:
    """A table as it comes from a reply."""
    hosts: tuple[Cell, ...] = ()
    if HOST in table.columns:
        at = table.columns.index(HOST)
        hosts = tuple(row[at] for row in table.rows)
    return View(table.columns, table.rows, table.hidden, hosts, table.ordered)


def annotated(view: View, default: str) -> View:
    """The view with the column `host` in front, if it does not have one; `default` where no host is known."""
    if HOST in view.columns:
        return view
    hosts = view.hosts or (default,) * len(view.rows)
    rows = tuple((host, *row) for host, row in zip(hosts, view.rows, strict=True))
    return View((HOST, *view.columns), rows, view.hidden, hosts, view.ordered, view.chosen)


def in_order(view: View) -> View:
    """The view with its rows sorted column by column, integers as numbers (and empty cells first)."""
    if view.ordered:
        return view
    return msgspec.structs.replace(view, rows=tuple(_sorted(list(view.rows), 0, len(view.columns))))


def render(view: View, mode: Mode, *, headers: bool, host: str = "") -> str:
    """The view as text, trimmed; nothing at all for a table or CSV without rows."""
    if mode == "json":
        return _peer_json(view, host)
    if mode == "objects":
        return _objects(view)
    if not view.rows:
        return ""
    if mode == "csv":
        return _csv(view, headers=headers)
    if mode == "names":
        at = view.columns.index("name") if "name" in view.columns else 0
        return "\n".join(cell_text(row[at]) for row in view.rows)
    return _text(view, headers=headers)


def cell_text(cell: Cell) -> str:
    """A cell as text: empty for None."""
    return "" if cell is None else str(cell)


def text_as_json(text: str, host: str = "") -> str:
    """A plain answer in minimega's JSON form."""
    return _responses(host, text, None, None)


def column_widths(view: View, *, headers: bool) -> list[int]:
    """What each column takes in a table, separators included, in characters; the view has rows."""
    last = len(view.columns) - 1
    return [
        len(cells[0]) + 2 if i < last else max(map(len, cells))
        for i, cells in enumerate(_columns(view, headers=headers))
    ]


def _text(view: View, *, headers: bool) -> str:
    return "\n".join(map("| ".join, zip(*_columns(view, headers=headers), strict=True))).strip()


def _columns(view: View, *, headers: bool) -> list[list[str]]:
    """The cells of each column, padded but for the last column's."""
    columns: list[list[str]] = []
    last = len(view.columns) - 1
    for i, column in enumerate(view.columns):
        # Spelled out, not `cell_text`: a call for each of a million cells would take most of the time.
        cells = [
            cell if cell.__class__ is str else "" if cell is None else str(cell)
            for cell in map(itemgetter(i), view.rows)
        ]
        if not "".join(cells).isprintable():
            cells = [_printable(cell) for cell in cells]
        if headers:
            cells.insert(0, column)
        if i < last:
            # minimega pads the separator with the cell that follows it: that cell is at least five wide with it
            width = max(max(map(len, cells)) + 1, 5 if i == 0 else 3)
            cells = [cell.ljust(width) for cell in cells]
        columns.append(cells)
    return columns


def _printable(cell: str) -> str:
    """The cell with control characters written as escapes: they would break the table, or the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cell)


def _csv(view: View, *, headers: bool) -> str:
    rows = [[cell_text(cell) for cell in row] for row in view.rows]
    if headers:
        rows.insert(0, list(view.columns))
    return "\n".join(",".join(map(_csv_cell, row)) for row in rows).strip()


def _csv_cell(cell: str) -> str:
    """A cell as RFC 4180 has it; leading white space is quoted too, since readers trim it."""
    return '"' + cell.replace('"', '""') + '"' if _CSV_QUOTED.search(cell) else cell


def _objects(view: View) -> str:
    rows = [dict(zip(view.columns, row, strict=True)) for row in view.rows]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def _peer_json(view: View, host: str) -> str:
    rows = [[cell_text(cell) for cell in row] for row in view.rows]
    return _responses(host, "", list(view.columns), rows or None)


def _responses(host: str, text: str, header: list[str] | None, rows: list[list[str]] | None) -> str:
    """Minimega's JSON: a list of answers, one for each host that answered; ours come from one place."""
    answer = {"Host": host, "Response": text, "Header": header, "Tabular": rows, "Error": "", "Data": None}
    return msgspec.json.encode([answer]).decode()


def _sorted(rows: list[tuple[Cell, ...]], column: int, columns: int) -> list[tuple[Cell, ...]]:
    """Sort by one column, and rows that are equal there by the next: most tables never need the second."""
    if column == columns or len(rows) < 2:
        return rows
    keyed = sorted(((_sort_key(row[column]), row) for row in rows), key=lambda pair: pair[0])
    result: list[tuple[Cell, ...]] = []
    start = 0
    for end in range(1, len(keyed) + 1):
        if end == len(keyed) or keyed[end][0] != keyed[start][0]:
            result += _sorted([row for _, row in keyed[start:end]], column + 1, columns)
            start = end
    return result


def _sort_key(cell: Cell) -> tuple[int, int, str]:
    if isinstance(cell, int):
        return (1, cell, "")
    text = cell_text(cell)
    if not text:
        return (0, 0, "")
    if len(text) < 20 and _INTEGER.fullmatch(text):
        return (1, int(text), "")
    return (2, 0, text)
