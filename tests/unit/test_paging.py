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


@given(st.sets(st.integers(0, 10_000), max_size=200), st.integers(1, 50))
def test_pages_make_the_list(numbers: set[int], limit: int) -> None:
    """Page after page gives every item once and in order, however long the pages are."""
    items = sorted(numbers)
    for cut in (
        lambda after: page(items, after, limit, key=int),
        lambda after: heavy_page(items, after, limit, key=int, row=light),
    ):
        seen: list[int] = []
        after = None
        while True:
            found, after = cut(after)
            assert len(found) <= limit
            seen += [item.number if isinstance(item, Row) else item for item in found]
            if after is None:
                break
        assert seen == items


def test_heavy_items_make_short_pages() -> None:
    """As many rows as may go into one message, and no more; the next page goes on behind them."""
    text = "x" * (PAGE_BYTES // 10)
    items = list(range(25))
    rows, last = heavy_page(items, None, 0, key=int, row=lambda number: Row(number, text))
    assert [row.number for row in rows] == list(range(9))
    assert sum(len(codec.encode(row)) for row in rows) <= PAGE_BYTES
    assert last == 8
    rows, _ = heavy_page(items, last, 0, key=int, row=lambda number: Row(number, text))
    assert rows[0].number == 9


def test_one_item_is_always_there() -> None:
    """An item that alone is too heavy is a page of its own: leaving it out would end the list before its end."""
    rows, last = heavy_page([1, 2], None, 0, key=int, row=lambda number: Row(number, "x" * 2 * PAGE_BYTES))
    assert ([row.number for row in rows], last) == ([1], 1)
