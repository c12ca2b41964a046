"""What `shoal top` shows of the cluster's answers: everything that matters, in the space that there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.top import TopOptions, parse_top
from shoal.cli.top_view import Line, Picture, event_text, picture_lines, plain, summary
from shoal.errors import UsageError
from shoal.messages.hosts import HostRow
from shoal.messages.overview import NamespaceCounts, Overview, PastEvent, RunningSchedule


def event(number: int, **fields: str) -> PastEvent:
    known: dict[str, Any] = {
        "noun": "vm",
        "what": "started",
        "name": f"web{number}",
        "namespace": "red",
        "host": "mm1",
    }
    return PastEvent(id=f"e{number}", at="2026-01-02T03:04:05Z", **{**known, **fields})


def host(number: int, **fields: object) -> HostRow:
    known: dict[str, Any] = {
        "cpus": 16,
        "cpucommit": 8,
        "memtotal_mib": 1000,
        "memcommit_mib": 100,
        "vms": 4,
        "state": "alive",
    }
    return HostRow(host=f"mm{number}", **{**known, **fields})


def overview(rows: int = 3, **fields: object) -> Overview:
    known: dict[str, Any] = {
        "epoch": 2,
        "version": "1.0",
        "hosts": {"alive": rows},
        "vms": {"RUNNING": 5, "ERROR": 1},
        "queued": 7,
        "items": tuple(host(number) for number in range(1, rows + 1)),
        "namespaces": (
            NamespaceCounts(namespace="minimega"),
            NamespaceCounts(namespace="red", vms={"RUNNING": 5, "ERROR": 1}, queued=7),
        ),
        "schedules": (RunningSchedule(namespace="red", plan="p", done=400, total=1000, hosts=3),),
        "events": (event(1), event(2, what="failed", reason="no such file")),
        "happened": 2,
    }
    return Overview(**{**known, **fields})


def picture(now: Overview | None = None) -> Picture:
    made = Picture("nats://here")
    if now is not None:
        made.take(now)
    return made


def text(lines: list[Line]) -> str:
    return "\n".join(plain(line).rstrip() for line in lines)


def test_the_picture_shows_hosts_vms_plans_and_events() -> None:
    """All of it is there, in words and numbers, and bad news is marked as such."""
    lines = picture_lines(picture(overview()), 120)
    assert text(lines) == (
        "shoal top  nats://here  shoal 1.0  epoch 2  hosts 3 alive\n"
        "VMs 6  5 RUNNING, 1 ERROR  queued 7\n"
        "launching red: 400 of 1000 VMs on 3 hosts ████████████████░░░░░░░░░░░░░░░░░░░░░░░░\n"
        "\n"
        "host state       vms  vcpus                 memory                load  memory used\n"
        "mm1  alive         4  ██████░░░░░░ 8/16     █░░░░░░░░░░░ 10 %     0.00          0 %\n"
        "mm2  alive         4  ██████░░░░░░ 8/16     █░░░░░░░░░░░ 10 %     0.00          0 %\n"
        "mm3  alive         4  ██████░░░░░░ 8/16     █░░░░░░░░░░░ 10 %     0.00          0 %\n"
        "\n"
        "namespace  VMs\n"
        "red        5 RUNNING, 1 ERROR  queued 7\n"
        "… and 1 without VMs\n"
        "events\n"
        "03:04:05  red: vm web1 started on mm1\n"
        "03:04:05  red: vm web2 failed on mm1: no such file"
    )
    marks = {span.text: span.mark for line in lines for span in line}
    assert marks["ERROR"] == marks["failed"] == "bad"
    assert marks["RUNNING"] == "good"


def test_a_host_that_is_full_or_away_stands_out() -> None:
    """A lost host is marked, and so is one that is promised more than it has; its bar does not grow out of its place."""
    items = (host(1, state="lost"), host(2, cpucommit=40))
    now = overview(2, items=items, hosts={"alive": 1, "lost": 1})
    lines = picture_lines(picture(now), 100)
    rows = {plain(line)[:3]: line for line in lines}
    assert ("lost     ", "bad") in [(span.text[:9], span.mark) for span in rows["mm1"]]
    assert ("█" * 12, "bad") in [tuple(span) for span in rows["mm2"]]
    assert "40/16" in plain(rows["mm2"])


@given(
    st.integers(0, 60),
    st.integers(0, 30),
    st.integers(0, 60),
    st.integers(0, 8),
    st.integers(10, 150),
    st.integers(3, 80),
    st.booleans(),
)
def test_the_picture_fits(
    hosts: int, namespaces: int, events: int, schedules: int, width: int, height: int, silent: bool
) -> None:
    """However much there is to show, it has at most as many lines and characters as the terminal."""
    now = overview(
        hosts,
        namespaces=tuple(NamespaceCounts(namespace=f"n{n}", vms={"RUNNING": n}) for n in range(namespaces)),
        events=tuple(event(n, reason="a\x1b[2Jb") for n in range(events)),
        schedules=tuple(RunningSchedule(namespace="n", plan=str(n), total=5) for n in range(schedules)),
    )
    shown = picture(now)
    if silent:
        shown.miss("no orchestrator answers", 5)
    lines = picture_lines(shown, width, height)
    assert len(lines) <= height
    assert all(len(plain(line)) <= width for line in lines)
    assert "\x1b" not in text(lines)


def test_free_lines_are_used() -> None:
    """Where little is to be shown, events take the rest of the terminal, the newest last."""
    now = overview(1, events=tuple(event(n) for n in range(40)), happened=40)
    lines = picture_lines(picture(now), 100, 30)
    assert len(lines) == 30
    assert "web39 started" in plain(lines[-1])


def test_hosts_that_do_not_fit_are_counted() -> None:
    """Hosts beyond the lines that there are, and those that the answer left out, are told of by number."""
    assert "… and " in text(picture_lines(picture(overview(50)), 100, 24))
    left_out = overview(2, hosts={"alive": 10})
    assert "… and 8 more that are alive and less full" in text(picture_lines(picture(left_out), 100))


def test_silence_is_said_and_the_last_picture_stays() -> None:
    """When nobody answers that is said with the seconds, over what was known; the next answer ends it."""
    shown = picture(overview())
    shown.miss("no orchestrator answers", 4.2)
    said = text(picture_lines(shown, 100))
    assert "no orchestrator answers (for 4 s); trying again" in said
    assert "5 RUNNING" in said
    assert summary(shown) == "no orchestrator answers"
    shown.take(overview())
    assert "no orchestrator" not in text(picture_lines(shown, 100))


def test_before_the_first_answer_it_waits() -> None:
    """Without an answer there is a picture too."""
    assert text(picture_lines(picture(), 80, 24)) == "shoal top  nats://here\nwaiting for an orchestrator"
    assert summary(picture()) == "waiting for an orchestrator"


def test_events_are_news_once() -> None:
    """Each answer repeats the last events: only those that were not told of are news, and what was missed is counted."""
    shown = Picture("nats://here")
    assert [e.id for e in shown.take(overview(happened=2))] == ["e1", "e2"]
    assert shown.take(overview(happened=2)) == []
    fresh = shown.take(overview(events=(event(2), event(30)), happened=30))
    assert [e.id for e in fresh] == ["e30"]
    assert shown.missed == 27
    assert [e.id for e in shown.events] == ["e1", "e2", "e30"]
    assert shown.take(overview(epoch=3, events=(event(31),), happened=1)) == [event(31)]
    assert shown.missed == 0


def test_the_summary_is_one_line() -> None:
    """Without a terminal the cluster is one line, alike as long as nothing changes."""
    assert summary(picture(overview())) == (
        "hosts 3 alive; VMs 6: 5 RUNNING, 1 ERROR; queued 7; launching red 400/1000"
    )
    assert event_text(event(2, what="failed", reason="why")) == "03:04:05  red: vm web2 failed on mm1: why"


def test_options_are_read() -> None:
    """--once, --interval in both spellings, --help."""
    assert parse_top([]) == TopOptions()
    assert parse_top(["--once", "--interval", "5"]) == TopOptions(once=True, interval_s=5)
    assert parse_top(["--interval=0.5"]).interval_s == 0.5
    assert parse_top(["-h"]).help


@pytest.mark.parametrize(
    "words", [["x"], ["--interval"], ["--interval", "0"], ["--interval=nan"], ["--once=1"]]
)
def test_other_options_are_refused(words: list[str]) -> None:
    """What is no option, and an interval that makes no sense, is a usage error."""
    with pytest.raises(UsageError):
        parse_top(words)
