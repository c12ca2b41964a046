"""What stands before a command and shapes its answer: `.columns`, `.filter`, and the settings of the output.

This module refuses to know commands and sessions: it makes views of views, and settings of settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from shoal.console.tables import HOST, Mode, View, cell_text
from shoal.errors import InvalidRequest
from shoal.messages.base import Cell

_FILTER = re.compile(r"(?P<column>[^=!~]+)(?P<how>!=|!~|=|~)(?P<value>.*)", re.DOTALL)


class Settings(msgspec.Struct, frozen=True):
    """How answers are shown and lines recorded: for a session, or for one command.

    `width` is what a table may take, in characters; 0 is no bound.
    """

    mode: Mode = "table"
    headers: bool = True
    annotate: bool = False
    sort: bool = True
    compress: bool = True
    record: bool = True
    preprocess: bool = True
    width: int = 0

    def get(self, name: str) -> bool:
        """Whether the setting of that name (`csv`, `json`, `headers`, …) is on."""
        if name in ("csv", "json"):
            return self.mode == name
        return bool(getattr(self, name))

    def set(self, name: str, on: bool) -> Settings:
        """The settings with that one switched; `csv` and `json` switch each other off."""
        if name == "csv":
            return self._with_mode("csv", on)
        if name == "json":
            return self._with_mode("json", on)
        return msgspec.structs.replace(self, **{name: on})

    def _with_mode(self, mode: Mode, on: bool) -> Settings:
        if on:
            return msgspec.structs.replace(self, mode=mode)
        return msgspec.structs.replace(self, mode="table") if self.mode == mode else self


def find_column(view: View, name: str) -> int:
    """The position of the column of that name, or of which it is a prefix; case does not matter.

    Hidden columns are found by their whole name only, so that prefixes keep their meaning.
    Raises InvalidRequest for an unknown or ambiguous name.
    """
    wanted = name.strip().casefold()
    begins: list[int] = []
    for i, column in enumerate(view.columns):
        if column.casefold() == wanted:
            return i
        if column not in view.hidden and column.casefold().startswith(wanted):
            begins.append(i)
    if len(begins) > 1:
        raise InvalidRequest(f"ambiguous column `{name}`")
    if not begins:
        shown = [column for column in view.columns if column not in view.hidden]
        raise InvalidRequest(f"no such column `{name}`", details=(f"columns: {', '.join(shown)}",))
    return begins[0]


def choose_columns(view: View, text: str) -> View:
    """What `.columns a,b` makes of a view: these columns in this order. Raises InvalidRequest."""
    view = _with_host(view)
    chosen = view.select([find_column(view, name) for name in text.split(",")])
    return msgspec.structs.replace(chosen, chosen=True)


def filter_rows(view: View, text: str) -> View:
    """What `.filter col=v` (or `!=`, `~`, `!~`) makes of a view. Case does not matter.

    A cell that is a list or an object (`[…]`, `{…}`) matches `=` when it contains the value. A hidden column
    that is filtered on is shown. Raises InvalidRequest.
    """
    found = _FILTER.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"invalid filter, see help: `{text}` is not column=value, !=, ~ or !~")
    column, how, value = found["column"], found["how"], found["value"]
    if column.strip().casefold() == HOST and HOST not in view.columns and view.hosts:
        by_host = _with_host(view).keep(_matcher(len(view.columns), how, value))
        return by_host.select(range(len(view.columns)))
    at = find_column(view, column)
    kept = view.keep(_matcher(at, how, value))
    return msgspec.structs.replace(kept, hidden=kept.hidden - {view.columns[at]})


def _with_host(view: View) -> View:
    """The view with the host, where it is known but not among the columns, as a hidden last column."""
    if HOST in view.columns or not view.hosts:
        return view
    rows = tuple((*row, host) for row, host in zip(view.rows, view.hosts, strict=True))
    return msgspec.structs.replace(
        view, columns=(*view.columns, HOST), rows=rows, hidden=view.hidden | {HOST}
    )


def _matcher(at: int, how: str, value: str) -> Callable[[tuple[Cell, ...]], bool]:
    wanted = value.casefold()
    negated, contains = how.startswith("!"), how.endswith("~")

    def matches(row: tuple[Cell, ...]) -> bool:
        cell = cell_text(row[at]).casefold()
        inside = contains or (cell[:1] + cell[-1:]) in ("[]", "{}")
        return (cell == wanted or (inside and wanted in cell)) != negated

    return matches
