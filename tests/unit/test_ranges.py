"""Ranges: expanding and folding are inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.ranges import expand, fold, natural_key, natural_order
from shoal.errors import InvalidRequest

NAMES = st.lists(st.text(alphabet="ab0129-.", min_size=1, max_size=8))
NUMBERED = st.lists(
    st.builds("{}{}{}".format, st.sampled_from(["vm", "r1n", ""]), st.integers(0, 200), st.just(""))
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("vm", ["vm"]),
        ("vm-0", ["vm-0"]),
        ("vm[0-3,7]", ["vm0", "vm1", "vm2", "vm3", "vm7"]),
        ("a,b[2]c,d", ["a", "b2c", "d"]),
        ("foo[1-2].10g", ["foo1.10g", "foo2.10g"]),
        ("[008-011,100]", ["008", "009", "010", "011", "100"]),
        ("x[08-10]", ["x08", "x09", "x10"]),
        ("x[8-10]", ["x8", "x9", "x10"]),
        ("a[1,1]", ["a1", "a1"]),
    ],
)
def test_a_text_stands_for_these_names(text: str, names: list[str]) -> None:
    """Brackets are read in the order written, repetitions and padding kept."""
    assert expand(text) == names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["kn44", "kn45", "kn1", "kn2", "kn3", "kn4", "kn5", "kn20"], "kn[1-5,20,44-45]"),
        (["foo1.10g", "foo2.10g"], "foo[1-2].10g"),
        (["mm1", "mm2", "mm10"], "mm[1-2,10]"),
        (["vm10", "vm2", "b", "a"], "a,b,vm[2,10]"),
        (["n01", "n1", "n02"], "n[01-02],n1"),
        (["r1n1", "r1n2", "r2n1", "r2n2"], "r1n[1-2],r2n[1-2]"),
        (["a", "a"], "a"),
        (["kn1-5", "kn44", "kn45"], "kn1-5,kn[44-45]"),
    ],
)
def test_names_fold_to_this_text(names: list[str], text: str) -> None:
    """Folding groups by what surrounds the number, ascending, without losing a name or a zero."""
    assert fold(names) == text


@given(NAMES | NUMBERED)
def test_expanding_a_folded_list_gives_its_names(names: list[str]) -> None:
    """`expand(fold(names))` are the same names, each once, whatever their order was."""
    assert sorted(expand(fold(names))) == sorted(set(names))
    assert fold(names) == fold(reversed(names))


@given(NAMES | NUMBERED)
def test_folding_is_canonical(names: list[str]) -> None:
    """Folding what was folded changes nothing."""
    assert fold(expand(fold(names))) == fold(names)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ab[[1]]", "nested '[' at char 3"),
        ("ab]", "unmatched ']' at char 2"),
        ("ab[1-2", "unterminated '['"),
        ("a[1-2-3]", "invalid subrange 1-2-3"),
        ("a[3-1]", "invalid subrange 3-1: 3 comes after 1"),
        ("a[]", "invalid range specification"),
        ("a[x]", "invalid range specification"),
        ("a[1-]", "invalid range specification"),
        ("a[٣]", "invalid range specification"),
        ("a,,b", "invalid range specification"),
        ("a,", "invalid range specification"),
        ("a[1]b[2]", "invalid range specification"),
        (f"a[{'9' * 30}]", "invalid range specification"),
    ],
)
def test_malformed_texts_are_refused_with_the_place(text: str, message: str) -> None:
    """Each malformed text has the error text that users of the language know."""
    with pytest.raises(InvalidRequest) as caught:
        expand(text)
    assert str(caught.value) == message


@given(st.text(alphabet="a1[]-,9", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes `expand` fail otherwise, and what it reads never holds brackets."""
    try:
        names = expand(text, limit=1000)
    except InvalidRequest:
        return
    assert not any(set("[],") & set(name) for name in names)


def test_too_many_names_are_refused_before_they_are_made() -> None:
    """A short text for a huge number of names, alone or added up, is refused at once."""
    for text in ("a[1-1000000]", "a[1-999999999999999999]", "a[1-60000],b[1-60000]", "a,b,c"):
        with pytest.raises(InvalidRequest, match="too many names"):
            expand(text, limit=2 if text == "a,b,c" else 100_000)
    assert len(expand("a[1-100000]")) == 100_000
    assert fold(expand("a[1-100000]")) == "a[1-100000]"


@given(st.lists(st.text(alphabet="ab019", max_size=5)))
def test_natural_order_counts(names: list[str]) -> None:
    """Numbers in names sort by value, and the order is total: equal keys only for equal names."""
    assert natural_order([f"vm{number}" for number in (10, 9, 1)]) == ["vm1", "vm9", "vm10"]
    assert natural_order(names) == natural_order(reversed(names))
    assert len(set(map(natural_key, names))) == len(set(names))


@given(
    st.lists(st.sampled_from(["", "0", "1", "01", "7", "10", "11", "a", "²"]), max_size=5),
    st.sampled_from(["", "h", "h1-"]),
)
def test_natural_order_of_counted_names_is_that_of_their_keys(ends: list[str], prefix: str) -> None:
    """The quick ways for names that are alike but for their number sort as the keys do."""
    names = [prefix + end for end in ends]
    assert natural_order(names) == sorted(names, key=natural_key)
    assert natural_order(sorted(names, key=natural_key)) == sorted(names, key=natural_key)
