"""Tables that fit a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.console.fitting import fit
from shoal.console.modifiers import choose_columns
from shoal.console.tables import View, render, view_of
from shoal.messages.base import Table

WIDE = Table(
    ("id", "name", "uuid", "bond", "mac", "host"),
    (
        (0, "web1", "8e2b85f6-6ddc-4131-acb0-27d4c96764f7", "[]", "[, ]", "mm1"),
        (1, "web2", "bb6fae0c-1ab1-4a9e-8d24-d1c2a7aebc5e", "[]", "[02:00:00:00:00:01, ]", "mm2"),
    ),
)


def lines(view: View) -> list[str]:
    return render(view, "table", headers=True).splitlines()


def test_what_fits_stays_as_it_is() -> None:
    """A table that is narrow enough keeps all its columns, empty ones too."""
    view = view_of(WIDE)
    assert fit(view, 200, headers=True) == (view, ())


def test_empty_columns_go_first() -> None:
    """Columns that say nothing in any row are left out before any other, and named."""
    view, left_out = fit(view_of(WIDE), 85, headers=True)
    assert left_out == ("bond",)
    assert "uuid" in view.columns


def test_then_what_few_ask_for() -> None:
    """A narrow column that people seldom read goes before a wide one that tells what they look for."""
    table = Table(("name", "vlan", "pid"), (("web1", "[LAN (101), DMZ (102)]", 4711),))
    view, left_out = fit(view_of(table), 32, headers=True)
    assert (view.columns, left_out) == (("name", "vlan"), ("pid",))


def test_then_the_widest() -> None:
    """The widest column goes next; what tells the rows apart stays."""
    view, left_out = fit(view_of(WIDE), 60, headers=True)
    assert left_out == ("uuid", "bond")
    assert fit(view, 20, headers=True)[0].columns == ("id", "name", "host")


def test_chosen_columns_stay() -> None:
    """Columns that the reader has named are shown, however wide."""
    view = choose_columns(view_of(WIDE), "name,uuid,mac")
    assert fit(view, 20, headers=True) == (view, ())


@given(
    st.integers(1, 120),
    st.lists(st.lists(st.text("ab []", max_size=30), min_size=6, max_size=6), min_size=1, max_size=5),
)
def test_it_fits_or_is_one_column(width: int, rows: list[list[str]]) -> None:
    """No line is longer than the width, unless one column alone is; nothing is lost but whole columns."""
    table = Table(WIDE.columns, tuple(map(tuple, rows)))
    view, left_out = fit(view_of(table), width, headers=True)
    assert len(view.columns) == 1 or max(map(len, lines(view))) <= width
    assert {*view.columns, *left_out} == set(table.columns)
    assert [column for column in table.columns if column in view.columns] == list(view.columns)
