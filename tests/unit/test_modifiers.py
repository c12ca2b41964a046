"""Columns, filters and settings."""

from __future__ import annotations

import pytest

from shoal.console.modifiers import Settings, choose_columns, filter_rows
from shoal.console.tables import View, view_of
from shoal.errors import InvalidRequest
from shoal.messages.base import Cell, Table


def vms(hidden: str = "namespace") -> View:
    columns = ("id", "name", "state", "vlan", "memory", "tags", "namespace")
    rows: tuple[tuple[Cell, ...], ...] = (
        (0, "foo1", "RUNNING", "[LAN (101)]", 2048, '{"color":"red"}', "red"),
        (1, "foo2", "BUILDING", "[]", 512, "{}", "red"),
        (2, "bar", "RUNNING", "[WAN (102), LAN (101)]", 2048, "{}", "blue"),
    )
    return view_of(Table(columns, rows, frozenset(hidden.split())))


def names(view: View) -> list[Cell]:
    return [row[view.columns.index("name")] for row in view.rows]


def refusal(made: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        made()  # type: ignore[operator]  # a function
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("name,state", ("name", "state")),
        ("state,name", ("state", "name")),
        ("na,st,mem", ("name", "state", "memory")),
        ("NAME,State", ("name", "state")),
        ("n", ("name",)),
        ("name,state,namespace", ("name", "state", "namespace")),
        ("name,name", ("name", "name")),
        ("name, state", ("name", "state")),
    ],
)
def test_columns_are_chosen_by_prefix_in_the_order_asked_for(text: str, columns: tuple[str, ...]) -> None:
    """Unique prefixes, any case, any order; a hidden column is shown when its whole name is given."""
    view = choose_columns(vms(), text)
    assert view.shown.columns == columns
    assert len(view.rows) == 3


def test_a_hidden_column_leaves_prefixes_alone() -> None:
    """`n` means name although `namespace` is there, hidden; shown, it makes `na` ambiguous."""
    assert choose_columns(vms(), "nam").columns == ("name",)
    assert refusal(lambda: choose_columns(vms(hidden=""), "nam")) == "ambiguous column `nam`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bogus", "no such column `bogus`"),
        ("name,bogus", "no such column `bogus`"),
        ("i,,", "ambiguous column ``"),
    ],
)
def test_unknown_columns(text: str, message: str) -> None:
    """An unknown or empty name of a column is an error in minimega's words."""
    assert refusal(lambda: choose_columns(vms(), text)) == message


def test_an_ambiguous_column() -> None:
    """A prefix of two columns is an error in minimega's words."""
    view = view_of(Table(("id", "initrd", "x"), ()))
    assert refusal(lambda: choose_columns(view, "i")) == "ambiguous column `i`"
    assert choose_columns(view, "id").columns == ("id",)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("name=bar", ["bar"]),
        ("name=BAR", ["bar"]),
        ("NAME=bar", ["bar"]),
        ("name=foo", []),
        ("name!=bar", ["foo1", "foo2"]),
        ("name~foo", ["foo1", "foo2"]),
        ("name!~foo", ["bar"]),
        ("st=running", ["foo1", "bar"]),
        ("vlan=lan", ["foo1", "bar"]),
        ("vlan!=lan", ["foo2"]),
        ("vlan=[]", ["foo2"]),
        ("tags=red", ["foo1"]),
        ("memory=2048", ["foo1", "bar"]),
        ("memory=20", []),
        ("id=0", ["foo1"]),
        ('tags~"color":"red"', ["foo1"]),
        ("tags=a=b", []),
        ("name=", []),
        ("namespace=blue", ["bar"]),
    ],
)
def test_filters(text: str, kept: list[str]) -> None:
    """Case does not matter; lists and objects match by what they contain; `!` negates and `~` searches."""
    assert names(filter_rows(vms(), text)) == kept


def test_a_filter_shows_the_hidden_column_that_it_names() -> None:
    """What one filters by one sees; other filters leave it hidden."""
    assert "namespace" in filter_rows(vms(), "namespace=red").shown.columns
    assert "namespace" not in filter_rows(vms(), "name=bar").shown.columns


@pytest.mark.parametrize("text", ["name", "", "=x", "!=x", "~"])
def test_what_is_no_filter(text: str) -> None:
    """A filter without a column or without a comparison is an error."""
    assert refusal(lambda: filter_rows(vms(), text)).startswith("invalid filter, see help")


def test_a_filter_on_a_column_that_was_left_out() -> None:
    """`.filter` outside of `.columns` sees only the columns that are left (minimega's rule)."""
    view = choose_columns(vms(), "state")
    assert refusal(lambda: filter_rows(view, "name~foo")) == "no such column `name`"


def test_the_host_can_be_chosen_and_filtered_although_columns_left_it_out() -> None:
    """The host of a row goes with it: after `.columns name` one can still filter by host."""
    view = view_of(Table(("name", "host"), (("a", "mm1"), ("b", "mm2"))))
    only_names = choose_columns(view, "name")
    assert filter_rows(only_names, "host=mm2").rows == (("b",),)
    assert filter_rows(only_names, "host=mm2").hosts == ("mm2",)
    assert choose_columns(only_names, "host,name").rows == (("mm1", "a"), ("mm2", "b"))


def test_settings_are_switched_one_by_one() -> None:
    """Each setting is what it was set to, and the others stay."""
    settings = Settings()
    for name in ("headers", "annotate", "sort", "compress", "record", "preprocess"):
        before = settings.get(name)
        assert settings.set(name, not before).get(name) is not before
        assert settings.set(name, not before).set(name, before) == settings


def test_the_defaults() -> None:
    """The defaults of a session: annotate false, the others true, plain tables."""
    settings = Settings()
    assert [settings.get(n) for n in ("headers", "sort", "compress", "record", "preprocess")] == [True] * 5
    assert [settings.get(n) for n in ("annotate", "csv", "json")] == [False] * 3


def test_csv_and_json_exclude_each_other() -> None:
    """Switching one on switches the other off; switching off what is not on changes nothing."""
    csv = Settings().set("csv", True)
    assert (csv.get("csv"), csv.get("json")) == (True, False)
    json = csv.set("json", True)
    assert (json.get("csv"), json.get("json")) == (False, True)
    assert json.set("csv", False) == json
    assert json.set("json", False) == Settings()
