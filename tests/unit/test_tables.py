"""Tables as text, CSV and JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.console.tables import Mode, View, annotated, in_order, render, text_as_json, view_of
from shoal.messages.base import Cell, Table


def view(columns: str, *rows: tuple[Cell, ...], hidden: str = "", ordered: bool = False) -> View:
    return view_of(Table(tuple(columns.split()), rows, frozenset(hidden.split()), ordered))


def text(v: View, *, headers: bool = True) -> str:
    return render(v.shown, "table", headers=headers)


def test_cells_are_padded_as_minimega_pads_them() -> None:
    """A cell is its column's longest plus one, at least five with the separator before it; the last is not padded."""
    v = view("name id file version", ("foo", 0, "/tmp/a.img", "1.1"), ("b", 10, "x", "1"))
    assert text(v) == (
        "name | id | file       | version\nfoo  | 0  | /tmp/a.img | 1.1\nb    | 10 | x          | 1"
    )


def test_short_first_column() -> None:
    """A first column is at least five characters wide."""
    assert text(view("vm dst", ("a", "mm1"))) == "vm   | dst\na    | mm1"


def test_empty_cells_and_trimming() -> None:
    """Empty values are empty; only the whole output is trimmed, so an inner line keeps its trailing space."""
    v = view("name namespace", ("bar", ""), ("foo", None))
    assert text(v) == "name | namespace\nbar  | \nfoo  |"


def test_without_headers() -> None:
    """Without headers only rows are printed, and the header does not widen them."""
    v = view("a-long-name state", ("x", "up"))
    assert text(v, headers=False) == "x    | up"


@pytest.mark.parametrize("mode", ["table", "csv", "names"])
def test_no_rows_print_nothing(mode: Mode) -> None:
    """A table without rows prints nothing at all, not even its header."""
    assert render(view("a b"), mode, headers=True) == ""


def test_one_column_is_not_padded() -> None:
    """A single column is the last one."""
    assert text(view("name", ("foo",), ("longer-one",))) == "name\nfoo\nlonger-one"


def test_control_characters_cannot_break_a_table() -> None:
    """A newline or an escape in a cell is written as text, so a row stays a line."""
    assert text(view("a b", ("x\ny", "\x1b[31m"))) == "a    | b\nx\\ny | \\x1b[31m"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        ([10, 9, 1], [1, 9, 10]),
        (["b", "10", "a", "9", ""], ["", "9", "10", "a", "b"]),
        (["mm10", "mm2", "mm1"], ["mm1", "mm10", "mm2"]),
        (["-1", "0", "-10"], ["-10", "-1", "0"]),
        ([None, "a", 3], [None, 3, "a"]),
    ],
)
def test_rows_are_sorted_with_integers_as_numbers(cells: list[Cell], expected: list[Cell]) -> None:
    """Integers are compared as numbers, everything else as text, empty cells first."""
    assert [row[0] for row in in_order(view("c", *((cell,) for cell in cells))).rows] == expected


def test_rows_are_sorted_column_by_column() -> None:
    """Rows that are equal in one column are sorted by the next."""
    v = view("a b c", ("b", "b", 2), ("a", "a", 0), ("d", "a", 4), ("a", "b", 1), ("c", "a", 3))
    assert [row[2] for row in in_order(v).rows] == [0, 1, 2, 3, 4]


def test_an_ordered_table_stays_as_it_is() -> None:
    """A table that says it is ordered is not sorted."""
    assert [row[0] for row in in_order(view("a", ("b",), ("a",), ordered=True)).rows] == ["b", "a"]


CELLS = st.one_of(st.none(), st.integers(), st.text(max_size=4), st.integers().map(str))


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.randoms())
def test_the_order_does_not_depend_on_where_rows_came_from(
    rows: list[tuple[Cell, Cell]], random: object
) -> None:
    """Sorting is a function of the set of rows: any permutation ends in the same text."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # a random.Random

    def shown(given_rows: list[tuple[Cell, Cell]]) -> str:
        return text(in_order(view("a b", *[(str(a or ""), str(b or "")) for a, b in given_rows])))

    assert shown(rows) == shown(shuffled)


def test_csv_quotes_what_needs_it() -> None:
    """Cells with commas, quotes, newlines or leading white space are quoted as RFC 4180 says."""
    v = view("a b", ("x,y", 'say "hi"'), (" z", None))
    assert render(v, "csv", headers=True) == 'a,b\n"x,y","say ""hi"""\n" z",'
    assert render(v, "csv", headers=False).startswith('"x,y"')


def test_json_is_minimegas() -> None:
    """`.json` prints minimega's list of responses, cells as text."""
    v = view("name id", ("foo", 1))
    assert json.loads(render(v, "json", headers=True, host="mm1")) == [
        {
            "Host": "mm1",
            "Response": "",
            "Header": ["name", "id"],
            "Tabular": [["foo", "1"]],
            "Error": "",
            "Data": None,
        }
    ]
    assert json.loads(text_as_json("hello"))[0]["Response"] == "hello"


def test_objects_keep_types() -> None:
    """`-o json` prints a list of objects with typed values, an empty one for no rows."""
    v = view("name id none", ("foo", 1, None))
    assert json.loads(render(v, "objects", headers=True)) == [{"name": "foo", "id": 1, "none": None}]
    assert json.loads(render(view("a"), "objects", headers=True)) == []


def test_names_are_the_column_name_or_the_first() -> None:
    """`-o name` prints the names only, one on a line."""
    assert render(view("id name", (0, "foo"), (1, "bar")), "names", headers=True) == "foo\nbar"
    assert render(view("host cpus", ("mm1", 4)), "names", headers=True) == "mm1"


def test_hidden_columns_are_not_shown() -> None:
    """A hidden column is not printed."""
    assert text(view("name namespace", ("a", "red"), hidden="namespace")) == "name\na"


def test_annotate_adds_the_host_in_front() -> None:
    """The host of each row becomes the first column, also after `.columns` has left it out."""
    v = view("name host", ("a", "mm2"), ("b", "mm1"), hidden="host").select([0])
    assert annotated(v, "").rows == (("mm2", "a"), ("mm1", "b"))
    assert annotated(v, "").columns == ("host", "name")


def test_annotate_leaves_a_table_with_hosts_alone() -> None:
    """A table that shows hosts does not get them twice; one that knows none gets the default."""
    with_host = view("host name", ("mm1", "a"))
    assert annotated(with_host, "head") is with_host
    assert annotated(view("name", ("a",)), "head").rows == (("head", "a"),)


def test_a_big_table_is_quick() -> None:
    """Ten thousand rows of thirty columns sort and render well within the half second that `vm info` has."""
    columns = tuple(f"column{i}" for i in range(30))
    rows: tuple[tuple[Cell, ...], ...] = tuple((9_999 - i, *["some value"] * 29) for i in range(10_000))
    rendered = render(in_order(View(columns, rows)), "table", headers=True)
    assert rendered.count("\n") == 10_000
    assert rendered.splitlines()[1].startswith("0 ")
