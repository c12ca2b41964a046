"""Makes a table fit a width, for people: what says nothing goes first, then what few ask for, then the widest columns.

This module refuses to know terminals and commands. Columns that the reader has named stay, whatever the width.
"""

from __future__ import annotations

from shoal.console.tables import View, column_widths

#: columns that tell which row it is: they are left out last
_IDENTITY = ("name", "namespace", "host", "state")
#: columns that programs want, and people seldom: left out before others
_SELDOM = ("uuid", "type", "pid", "cc_active", "snapshot")
#: what a list of nothing is made of
_NOTHING = "[]{}, "


def fit(view: View, width: int, *, headers: bool) -> tuple[View, tuple[str, ...]]:
    """The view with as many columns as fit into `width` characters, and the names of those that were left out.

    At least one column stays. A view whose columns were chosen is returned as it is.
    """
    if view.chosen or not view.rows:
        return view, ()
    widths = column_widths(view, headers=headers)
    kept = list(range(len(view.columns)))

    def drop(candidates: list[int]) -> None:
        for at in candidates:
            if sum(widths[i] for i in kept) <= width or len(kept) == 1:
                return
            kept.remove(at)

    if sum(widths) > width:
        empty = [i for i in kept if all(not str(row[i] or "").strip(_NOTHING) for row in view.rows)]
        # All of them: half of the empty columns would only look odd.
        kept = [i for i in kept if i not in empty] or kept[:1]
        by_width = sorted(kept, key=lambda i: (-widths[i], -i))
        drop([i for i in by_width if view.columns[i] in _SELDOM])
        drop([i for i in by_width if i in kept and view.columns[i] not in _IDENTITY])
        drop([i for i in by_width if i in kept])
    if len(kept) == len(view.columns):
        return view, ()
    left_out = tuple(column for i, column in enumerate(view.columns) if i not in kept)
    return view.select(kept), left_out
