"""Lines to words and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import UsageError
from shoal.grammar import join, split


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   \t ", []),
        ("# a comment", []),
        ("  # a comment", []),
        ("vm info # all of them", ["vm", "info"]),
        ("vm info#now", ["vm", "info"]),
        ("  vm \t info ", ["vm", "info"]),
        ("echo 'a  b' \"c # d\"", ["echo", "a  b", "c # d"]),
        ("echo a'b c'd", ["echo", "ab cd"]),
        ("echo ''", ["echo", ""]),
        ('echo "it\'s" \'say "x"\'', ["echo", "it's", 'say "x"']),
        (r"echo a\ b \# \\ \" \'", ["echo", "a b", "#", "\\", '"', "'"]),
        (r"echo 'a\tb\nc\rd'", ["echo", "a\tb\nc\rd"]),
        (r'echo "a\"b" c', ["echo", 'a"b', "c"]),
        ("vm launch kvm web[1-3,7]", ["vm", "launch", "kvm", "web[1-3,7]"]),
    ],
)
def test_quotes_escapes_and_comments(line: str, words: list[str]) -> None:
    """A line is split at white space; quotes and backslashes keep words together; `#` ends it."""
    assert split(line) == words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("echo 'a", "missing terminal '"),
        ('echo "a', 'missing terminal "'),
        ("echo \"it's", 'missing terminal "'),
        ("echo a\\", "expected a character after the `\\` at the end of the line"),
    ],
)
def test_what_is_open_at_the_end_is_an_error(line: str, message: str) -> None:
    """A quote or an escape that the line does not finish is a UsageError that says which."""
    with pytest.raises(UsageError) as caught:
        split(line)
    assert str(caught.value) == message


@given(st.lists(st.text()))
def test_split_undoes_join(words: list[str]) -> None:
    """Whatever the words are, the line that `join` makes of them splits into exactly these words."""
    assert split(join(words)) == words


@given(st.lists(st.text(alphabet="abz09-_.[],=/", min_size=1)))
def test_plain_words_stay_plain(words: list[str]) -> None:
    """Words that need no quotes get none."""
    assert join(words) == " ".join(words)


@given(st.text())
def test_a_line_is_stable_after_one_round(line: str) -> None:
    """Joining what a line was split into changes nothing about its words."""
    try:
        words = split(line)
    except UsageError:
        return
    assert split(join(words)) == words
