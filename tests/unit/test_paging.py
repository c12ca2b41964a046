"""Lists in pages: whole, in order, each item once, and no page too heavy for a message."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal import codec
from shoal_orchestrator.handlers.paging import PAGE_BYTES, heavy_page, page


class Row(msgspec.Struct, frozen=True):
    """What is made of an item."""

    number: int
    text: str = ""


def light(number: int) -> Row:
    return Row(number)


def heavy(number: int) -> Row:
    """A tenth of a page."""
    return Row(number, "x" * (PAGE_BYTES // 10))


def too_heavy(number: int) -> Row:
    return Row(number, "x" * 2 * PAGE_BYTES)


numbers = st.sets(st.integers(0, 10_000), max_size=200)


@given(numbers, st.integers(1, 50))
def test_pages_make_the_list(items: set[int], limit: int) -> None:
    """Page after page gives every item once and in order, however long the pages are."""
    seen: list[int] = []
    after: int | None = None
    while True:
        found, after = page(sorted(items), after, limit, key=int)
        assert len(found) <= limit
        seen += found
        if after is None:
            break
    assert seen == sorted(items)


@given(numbers, st.integers(1, 50))
def test_heavy_pages_make_the_list(items: set[int], limit: int) -> None:
    """So do pages of rows that are weighed."""
    seen: list[int] = []
    more = True
    while more:
        rows, more = heavy_page(sorted(items), seen[-1] if seen else None, limit, key=int, row=light)
        assert len(rows) <= limit
        seen += [row.number for row in rows]
    assert seen == sorted(items)


def test_heavy_items_make_short_pages() -> None:
    """As many rows as may go into one message, and no more; the next page goes on behind them."""
    items = list(range(25))
    rows, more = heavy_page(items, None, 0, key=int, row=heavy)
    assert [row.number for row in rows] == list(range(9))
    assert sum(len(codec.encode(row)) for row in rows) <= PAGE_BYTES
    assert more
    rows, _ = heavy_page(items, 8, 0, key=int, row=heavy)
    assert rows[0].number == 9


def test_one_item_is_always_there() -> None:
    """An item that alone is too heavy is a page of its own: leaving it out would end the list before its end."""
    rows, more = heavy_page([1, 2], None, 0, key=int, row=too_heavy)
    assert ([row.number for row in rows], more) == ([1], True)
