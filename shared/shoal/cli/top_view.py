"""What `shoal top` shows: from the cluster's answers to lines of marked text.

This module refuses to know terminals, time and the bus. A line is a tuple of spans, each a text and what it means;
which colour that is, the terminal's side decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from shoal.messages.hosts import HostRow
from shoal.messages.overview import VM_STATES, Overview, PastEvent, RunningSchedule

Mark = Literal["", "title", "dim", "good", "new", "held", "bad"]

_MARKS: Mapping[str, Mark] = {
    "RUNNING": "good",
    "BUILDING": "new",
    "PAUSED": "held",
    "QUIT": "dim",
    "ERROR": "bad",
    "LOST": "bad",
    "alive": "good",
    "draining": "held",
    "suspect": "held",
    "lost": "bad",
    "unknown": "dim",
}
_HOST_STATES = ("alive", "suspect", "lost", "unknown")
_EVENTS_KEPT = 200
#: a bar is full here; what is promised beyond that shows in the number beside it
_BAR = 12
_NARROW = 72
_MOST_SCHEDULES = 5


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    mark: Mark = ""


Line = tuple[Span, ...]


class Picture:
    """All that is known of the cluster: its last answer, the events that it told of, and since when it is silent."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.now: Overview | None = None
        #: why the last question had no answer, and for how many seconds there was none
        self.trouble = ""
        self.silent_s = 0.0
        self.events: deque[PastEvent] = deque(maxlen=_EVENTS_KEPT)
        self._told: dict[str, None] = {}
        self._before: tuple[int, int] | None = None
        #: events that happened between two answers and were in neither
        self.missed = 0

    def take(self, overview: Overview) -> list[PastEvent]:
        """Take in an answer; returns the events that are news, oldest first."""
        self.now, self.trouble, self.silent_s = overview, "", 0.0
        fresh = [event for event in overview.events if event.id not in self._told]
        epoch, count = self._before or (overview.epoch, overview.happened)
        self.missed = max(0, overview.happened - count - len(fresh)) if epoch == overview.epoch else 0
        self._before = overview.epoch, overview.happened
        self.events.extend(fresh)
        self._told.update(dict.fromkeys(event.id for event in fresh))
        for forgotten in list(self._told)[: max(0, len(self._told) - 2 * _EVENTS_KEPT)]:
            del self._told[forgotten]
        return fresh

    def miss(self, why: str, silent_s: float) -> None:
        """The cluster did not answer."""
        self.trouble, self.silent_s = why, silent_s


def picture_lines(picture: Picture, width: int, height: int = 0) -> list[Line]:
    """The whole picture in at most `height` lines (0: as many as it takes), each at most `width` characters."""
    head = list(_head(picture))
    if picture.now is None:
        return [_cut(line, width) for line in head]
    schedules = list(_schedules(picture.now.schedules, width))
    namespaces, hosts = list(_namespaces(picture.now)), list(_hosts(picture.now, width))
    events = [_event(event) for event in picture.events]
    if height:
        left = height - len(head) - len(schedules)
        # Hosts before namespaces before events, but each gets a few lines.
        shares = _shares(left, [len(hosts) + 1, len(namespaces) + 1, len(events) + 1])
        hosts, namespaces = _most(hosts, shares[0] - 1), _most(namespaces, shares[1] - 1)
        left -= sum(len(lines) + 1 for lines in (hosts, namespaces) if lines)
        events = events[1 - left :] if left > 1 else []
    else:
        events = events[-10:]
    lines = [*head, *schedules, *_titled("", hosts), *_titled("", namespaces), *_titled("events", events)]
    return [_cut(line, width) for line in (lines[:height] if height else lines)]


def _shares(lines: int, wanted: list[int]) -> list[int]:
    """Divide lines: a third to each who wants as much, the rest in order. One that gets none has 0."""
    lines = max(0, lines)
    got = [min(want, lines // len(wanted)) for want in wanted]
    for at, want in enumerate(wanted):
        got[at] += min(want - got[at], lines - sum(got))
    return got


def _most(lines: list[Line], count: int) -> list[Line]:
    """The first line is a table's header; what does not fit is counted."""
    if len(lines) <= count:
        return lines
    if count < 3:
        return []
    return [*lines[: count - 1], (Span(f"… and {len(lines) - count + 1} more", "dim"),)]


def _titled(title: str, lines: list[Line]) -> list[Line]:
    if not lines:
        return []
    return [(Span(title, "title"),) if title else (), *lines]


def _head(picture: Picture) -> Iterator[Line]:
    now = picture.now
    if now is None:
        yield (Span("shoal top", "title"), Span(f"  {picture.server}"))
    else:
        yield (
            Span("shoal top", "title"),
            Span(f"  {picture.server}  shoal {now.version}  epoch {now.epoch}  hosts "),
            *_counts(now.hosts, _HOST_STATES),
        )
    if picture.trouble:
        yield (Span(f"{picture.trouble} (for {picture.silent_s:.0f} s); trying again", "bad"),)
    elif now is None:
        yield (Span("waiting for an orchestrator", "dim"),)
    if now is not None:
        total = sum(now.vms.values())
        yield (
            Span(f"VMs {total}  "),
            *_counts(now.vms, VM_STATES),
            Span(f"  queued {now.queued}" if now.queued else ""),
        )


def _counts(counts: Mapping[str, int], order: Iterable[str]) -> Iterator[Span]:
    """`3 alive, 1 lost`, in this order, and what is not in it at the end."""
    first = True
    for state in dict.fromkeys((*order, *sorted(counts))):
        if counts.get(state):
            yield Span(f"{'' if first else ', '}{counts[state]} ")
            yield Span(state, _MARKS.get(state, ""))
            first = False
    if first:
        yield Span("none", "dim")


def _schedules(schedules: Iterable[RunningSchedule], width: int) -> Iterator[Line]:
    running = list(schedules)
    for each in running[:_MOST_SCHEDULES]:
        text = f"launching {each.namespace}: {each.done} of {each.total} VMs on {each.hosts} hosts "
        yield (Span(text), *_bar(each.done, each.total, max(5, min(40, width - len(text) - 2)), "new"))
    if len(running) > _MOST_SCHEDULES:
        yield (Span(f"… and {len(running) - _MOST_SCHEDULES} more being launched", "dim"),)


def _bar(used: float, whole: float, width: int = _BAR, mark: Mark = "") -> Iterator[Span]:
    share = used / whole if whole else 0.0
    full = round(min(1.0, share) * width)
    if share > 0 and not full:
        full = 1
    yield Span("█" * full, mark or ("bad" if share > 1 else "held" if share > 0.8 else "good"))
    yield Span("░" * (width - full), "dim")


def _hosts(now: Overview, width: int) -> Iterator[Line]:
    """A table of hosts; where the terminal is narrow, without what was measured."""
    if not now.items:
        return
    name = max(4, *(len(row.host) for row in now.items))
    wide = width >= _NARROW + name
    measured = f"{'load':>6} {'memory used':>12}  " if wide else ""
    yield (
        Span(
            f"{'host':<{name}} {'state':<9} {'vms':>5}  {'vcpus':<{_BAR + 9}} {'memory':<{_BAR + 7}} {measured}",
            "dim",
        ),
    )
    for row in now.items:
        yield _host(row, name, wide=wide)
    total = sum(now.hosts.values())
    if total > len(now.items):
        yield (Span(f"… and {total - len(now.items)} more that are alive and less full", "dim"),)


def _host(row: HostRow, name: int, *, wide: bool) -> Line:
    vcpus = f" {row.cpucommit}/{row.cpus}"
    memory = f" {_percent(row.memcommit_mib, row.memtotal_mib)}"
    return (
        Span(f"{row.host:<{name}} "),
        Span(f"{row.state:<9} ", _MARKS.get(row.state, "")),
        Span(f"{row.vms:>5}  "),
        *_bar(row.cpucommit, row.cpus),
        Span(f"{vcpus:<9} "),
        *_bar(row.memcommit_mib, row.memtotal_mib),
        Span(f"{memory:<7} "),
        Span(f"{row.load:>6.2f} {_percent(row.memused_mib, row.memtotal_mib):>12}  " if wide else ""),
        Span("; ".join(row.warnings), "held"),
    )


def _percent(used: float, whole: float) -> str:
    return f"{100 * used / whole:.0f} %" if whole else "-"


def _namespaces(now: Overview) -> Iterator[Line]:
    shown = [each for each in now.namespaces if each.vms or each.queued]
    if not shown:
        return
    name = max(9, *(len(each.namespace) for each in shown))
    yield (Span(f"{'namespace':<{name}}  VMs", "dim"),)
    for each in shown:
        queued = f"  queued {each.queued}" if each.queued else ""
        yield (Span(f"{each.namespace:<{name}}  "), *_counts(each.vms, VM_STATES), Span(queued))
    empty = len(now.namespaces) - len(shown) + now.other_namespaces
    if empty:
        yield (
            Span(
                f"… and {empty} more, without VMs or smaller"
                if now.other_namespaces
                else f"… and {empty} without VMs",
                "dim",
            ),
        )


def _event(event: PastEvent) -> Line:
    return (Span(f"{event.at[11:19]}  ", "dim"), *_what(event))


def _what(event: PastEvent) -> Iterator[Span]:
    bad = event.what in ("failed", "lost", "suspect")
    yield Span(f"{event.namespace or 'cluster'}: {event.noun} {event.name} ")
    yield Span(event.what, "bad" if bad else "")
    yield Span(f" on {event.host}" if event.host else "")
    yield Span(f": {event.reason}" if event.reason else "", "bad" if bad else "dim")


def summary(picture: Picture) -> str:
    """The cluster in one line, for those who have no terminal. The same line means that nothing has changed."""
    if picture.trouble:
        return picture.trouble
    now = picture.now
    if now is None:
        return "waiting for an orchestrator"
    parts = [
        "hosts " + plain(_counts(now.hosts, _HOST_STATES)),
        f"VMs {sum(now.vms.values())}: " + plain(_counts(now.vms, VM_STATES)),
    ]
    if now.queued:
        parts.append(f"queued {now.queued}")
    parts += [f"launching {each.namespace} {each.done}/{each.total}" for each in now.schedules]
    return "; ".join(parts)


def event_text(event: PastEvent) -> str:
    """An event in one line."""
    return plain(_event(event))


def plain(spans: Iterable[Span]) -> str:
    """The text of spans."""
    return "".join(span.text for span in spans)


def _cut(line: Line, width: int) -> Line:
    """The line without what goes beyond `width` characters, and without control characters."""
    kept, left = [], width
    for span in line:
        text = "".join(char if char.isprintable() else "?" for char in span.text)[:left]
        left -= len(text)
        if text:
            kept.append(Span(text, span.mark))
    return tuple(kept)
