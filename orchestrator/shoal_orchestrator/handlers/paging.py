"""Cutting lists into pages, so that no reply nears the server's limit of 1 MiB."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec

from shoal import codec

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)
DEFAULT_PAGE = 500
MAX_PAGE = 1000
MOST_ROWS = 4000
#: what the items of a page may weigh as MessagePack; as JSON they are up to twice that
PAGE_BYTES = 400 * 1024


def page(
    items: Sequence[T], after: Any, limit: int, *, key: Callable[[T], Any]
) -> tuple[Sequence[T], T | None]:
    """The items (sorted by `key`) whose key is over `after`, at most `limit`, and the last of them if more follow.

    `after` is a key, or None for the start; it need not be there any more, so a list may change between pages.
    """
    start = 0 if after is None else bisect_right(items, after, key=key)
    end = start + min(limit or DEFAULT_PAGE, MAX_PAGE)
    return items[start:end], items[end - 1] if end < len(items) else None


def heavy_page(
    items: Sequence[T], after: Any, limit: int, *, key: Callable[[T], Any], row: Callable[[T], R]
) -> tuple[list[R], bool]:
    """As `page`, for items that weigh much and unequally: the rows made of them, as many as may go into one reply,
    and whether more follow.

    At least one row, whatever it weighs; at most `limit` (0: as many as fit).
    """
    start = 0 if after is None else bisect_right(items, after, key=key)
    rows: list[R] = []
    weight = 0
    for at in range(start, len(items)):
        made = row(items[at])
        weight += len(codec.encode(made))
        if rows and (weight > PAGE_BYTES or len(rows) == (limit or MOST_ROWS)):
            return rows, True
        rows.append(made)
    return rows, False
