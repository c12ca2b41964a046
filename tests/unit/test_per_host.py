"""Answers of several hosts: folded where they are the same, and never mixed up."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.console.answers import answer_of
from shoal.console.modifiers import Settings, choose_columns
from shoal.console.per_host import folded, lines_of_hosts, view_of_hosts
from shoal.core.ranges import expand
from shoal.messages.base import HostAnswer, PerHost, Table
from shoal.messages.running import HostAnswers

TAPS = Table(("bridge", "tap", "host"), (("b", "t1", "mm1"),), hidden=frozenset({"host"}))


def shown(*answers: HostAnswer, compress: bool = True) -> str:
    return answer_of(HostAnswers(items=answers), Settings(compress=compress)).outcome("").text


def test_texts_are_folded_by_compress() -> None:
    """Equal texts stand behind one range of hosts, or with `.compress false` behind each host."""
    answers = (HostAnswer(hosts="mm[1-2]", text="v1"), HostAnswer(hosts="mm3", text="v2\nmore"))
    assert shown(*answers) == "mm[1-2]: v1\nmm3:\nv2\nmore"
    assert shown(*answers, compress=False) == "mm1: v1\nmm2: v1\nmm3:\nv2\nmore"


def test_tables_get_the_column_host_in_front() -> None:
    """A table without a shown host gets that column; hosts that answered the same share their rows."""
    same = Table(("name", "size"), (("a", 1), ("b", 2)))
    other = Table(("name", "size"), (("a", 1),))
    answers = (HostAnswer(hosts="mm[1-2]", table=same), HostAnswer(hosts="mm3", table=other))
    assert shown(*answers) == (
        "host    | name | size\nmm3     | a    | 1\nmm[1-2] | a    | 1\nmm[1-2] | b    | 2"
    )
    assert shown(*answers, compress=False).splitlines()[1:] == [
        "mm1  | a    | 1",
        "mm1  | b    | 2",
        "mm2  | a    | 1",
        "mm2  | b    | 2",
        "mm3  | a    | 1",
    ]
    assert shown(HostAnswer(hosts="mm1", table=TAPS)).splitlines()[0] == "host | bridge | tap"


def test_rows_that_name_their_host_are_not_folded() -> None:
    """A table with a host of its own keeps a row for each, also where everything else is equal."""
    answers = [HostAnswer(hosts=host, table=Table(("host", "vms"), ((host, 0),))) for host in ("mm1", "mm2")]
    assert shown(*answers) == "host | vms\nmm1  | 0\nmm2  | 0"


def test_pieces_of_a_table_are_one() -> None:
    """A long table of one host that came in pieces is one table."""
    pieces = [HostAnswer(hosts="mm1", table=Table(("name",), ((name,),))) for name in "ab"]
    assert shown(*pieces) == "host | name\nmm1  | a\nmm1  | b"


def test_columns_without_the_host_leave_each_row_once() -> None:
    """Rows that were the same on several hosts show once when the host is not shown."""
    view = view_of_hosts(PerHost((HostAnswer(hosts="mm[1-3]", table=Table(("name",), (("a",),))),)))
    assert view is not None
    assert folded(choose_columns(view, "name")).rows == (("a",),)


def test_no_answers_are_nothing() -> None:
    """Without an answer there is nothing to see."""
    assert shown() == ""
    assert shown(HostAnswer(hosts="mm1", table=Table(("name",), ()))) == ""


@given(st.dictionaries(st.from_regex(r"mm[0-9]{1,2}", fullmatch=True), st.sampled_from("abc"), min_size=1))
def test_folding_texts_loses_no_host(texts: dict[str, str]) -> None:
    """Whatever hosts say, the folded lines expand to exactly the hosts that said it."""
    answers = PerHost(tuple(HostAnswer(hosts=host, text=text) for host, text in texts.items()))
    found = {}
    for line in lines_of_hosts(answers, compress=True).splitlines():
        hosts, _, text = line.partition(": ")
        found.update(dict.fromkeys(expand(hosts), text))
    assert found == texts


def test_json_mode_is_json() -> None:
    """`.json` makes JSON of texts too."""
    answer = answer_of(HostAnswers(items=(HostAnswer(hosts="mm1", text="v"),)), Settings(mode="json"))
    assert msgspec.json.decode(answer.outcome("").text)[0]["Response"] == "mm1: v"


@pytest.mark.parametrize("compress", [True, False])
def test_csv_has_no_ranges_to_take_apart_but_quoted_ones(*, compress: bool) -> None:
    """A range with a comma in it is one cell of CSV."""
    table = Table(("name",), (("a",),))
    answer = answer_of(
        HostAnswers(items=(HostAnswer(hosts="mm[1,3]", table=table),)),
        Settings(mode="csv", compress=compress),
    )
    assert answer.outcome("").text == ('host,name\n"mm[1,3]",a' if compress else "host,name\nmm1,a\nmm3,a")
