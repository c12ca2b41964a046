"""Answers of several hosts to one command: as one view, as lines, and folded where hosts answered the same.

This module refuses to know commands and sessions.
"""

from __future__ import annotations

import msgspec

from shoal.console.tables import HOST, View, view_of
from shoal.core.ranges import expand, fold, natural_order
from shoal.messages.base import Cell, HostAnswer, PerHost


def view_of_hosts(answers: PerHost) -> View | None:
    """All tables as one view whose first column is the host, unless it has such a column; None without tables.

    Every row is there once for each host that answered it.
    """
    tables = [answer for answer in answers.answers if answer.table is not None]
    if not tables:
        return None
    found: View | None = None
    for answer in tables:
        part = _part(answer)
        if found is None:
            found = part
        elif part.columns == found.columns:
            found = msgspec.structs.replace(
                found, rows=found.rows + part.rows, hosts=found.hosts + part.hosts
            )
    return found


def _part(answer: HostAnswer) -> View:
    assert answer.table is not None
    view = view_of(answer.table)
    if HOST in view.columns and HOST not in view.hidden:
        return view
    kept = [i for i, column in enumerate(view.columns) if column != HOST]
    rows = [(host, *(row[i] for i in kept)) for host in expand(answer.hosts) for row in view.rows]
    return View(
        columns=(HOST, *(view.columns[i] for i in kept)),
        rows=tuple(rows),
        hidden=view.hidden - {HOST},
        hosts=tuple(row[0] for row in rows),
        ordered=view.ordered,
    )


def folded(view: View) -> View:
    """The view in which hosts with the same rows stand together, under a range of their names."""
    at = view.columns.index(HOST) if HOST in view.columns else len(view.columns)
    rows_of: dict[str, list[tuple[Cell, ...]]] = {}
    for host, row in zip(view.hosts, view.rows, strict=True):
        rows_of.setdefault(str(host), []).append((*row[:at], *row[at + 1 :]))
    hosts_of: dict[tuple[tuple[Cell, ...], ...], list[str]] = {}
    for host, rows in rows_of.items():
        hosts_of.setdefault(tuple(rows), []).append(host)
    found: list[tuple[Cell, ...]] = []
    labels: list[Cell] = []
    for group, hosts in hosts_of.items():
        label = fold(hosts)
        found += [(*row[:at], label, *row[at:]) if HOST in view.columns else row for row in group]
        labels += [label] * len(group)
    return msgspec.structs.replace(view, rows=tuple(found), hosts=tuple(labels))


def lines_of_hosts(answers: PerHost, *, compress: bool) -> str:
    """Texts as `mm[1-3]: text`, or with `compress` false a line for each host; longer ones below their hosts."""
    hosts_of: dict[str, list[str]] = {}
    for answer in answers.answers:
        hosts_of.setdefault(answer.text, []).extend(expand(answer.hosts))
    pairs = [(text, natural_order(hosts)) for text, hosts in hosts_of.items()]
    if compress:
        lines = [(fold(hosts), text) for text, hosts in pairs]
    else:
        texts = {host: text for text, hosts in pairs for host in hosts}
        lines = [(host, texts[host]) for host in natural_order(texts)]
    return "\n".join(f"{hosts}:\n{text}" if "\n" in text else f"{hosts}: {text}" for hosts, text in lines)
