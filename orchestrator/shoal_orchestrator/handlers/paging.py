"""Cutting lists into pages, so that no reply nears the server's limit of 1 MiB."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
DEFAULT_PAGE = 500
MAX_PAGE = 1000


def page(
    items: Sequence[T], after: Any, limit: int, *, key: Callable[[T], Any]
) -> tuple[Sequence[T], T | None]:
    """The items (sorted by `key`) whose key is over `after`, at most `limit`, and the last of them if more follow.

    `after` is a key, or None for the start; it need not be there any more, so a list may change between pages.
    """
    start = 0 if after is None else bisect_right(items, after, key=key)
    end = start + min(limit or DEFAULT_PAGE, MAX_PAGE)
    return items[start:end], items[end - 1] if end < len(items) else None
