"""`shoal top`: asks the cluster once a second, and draws what it answers, or prints lines where there is no terminal.

This module refuses to know what the picture looks like (`top_view`). Only here is rich used, and only at a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

from shoal.cli.printing import terminal_width, wants_colour
from shoal.cli.top_view import Line, Mark, Picture, Span, event_text, picture_lines, plain, summary
from shoal.errors import ShoalError, TimedOut, Unavailable, UsageError
from shoal.messages.overview import Overview, PastEvent, ShowOverview

HELP = """\
shoal top: the cluster at a glance, once a second

  shoal top                      a live picture; q or Ctrl-C leaves
        --once                   one picture, and an end
        --interval SECONDS       how often to ask (1)

Without a terminal it prints a line for each change, and one for each event. Colours: NO_COLOR switches them off."""

#: what an unanswered question may take before that is said
_PATIENCE_S = 3.0
_WIDTH = 100
_MOST_EVENTS = 10
_STYLES: Mapping[Mark, str] = {
    "": "",
    "title": "bold",
    "dim": "dim",
    "good": "green",
    "new": "cyan",
    "held": "yellow",
    "bad": "red",
}
#: how many hosts and namespaces to ask for: more than a terminal has lines
_ROWS = 200
_EVENTS = 50


class TopOptions(NamedTuple):
    """The arguments of `shoal top`."""

    once: bool = False
    interval_s: float = 1.0
    help: bool = False


def parse_top(arguments: Sequence[str]) -> TopOptions:
    """Read what follows `shoal top`. Raises UsageError."""
    options, left = TopOptions(), list(arguments)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if name == "--once" and not equals:
            options = options._replace(once=True)
        elif name in ("-h", "--help") and not equals:
            options = options._replace(help=True)
        elif name == "--interval":
            options = options._replace(interval_s=_seconds(value if equals else left.pop(0) if left else ""))
        else:
            raise UsageError(f"unknown argument `{name}` of top; see `shoal top --help`")
    return options


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise UsageError(f"invalid interval `{text}`: expected seconds, from 0.1 to 3600")
    return seconds


async def run_top(options: TopOptions, server: str, out: TextIO, environment: Mapping[str, str]) -> int:
    """Show the cluster until somebody leaves; the exit code. Raises Unavailable when there is no server.

    With `once` it raises what the question failed with.
    """
    from shoal.client import connect  # noqa: PLC0415  # imports nats: 120 ms

    picture = Picture(server)
    async with connect(server, name="shoal-top") as client:

        async def ask() -> Overview:
            timeout_s = None if options.once else _PATIENCE_S
            return await client.call(ShowOverview(limit=_ROWS, events=_EVENTS), timeout_s=timeout_s)

        if options.once:
            picture.take(await ask())
            _print_once(picture, out, environment)
            return 0
        with _leaving() as left:
            if out.isatty() and environment.get("TERM") not in ("dumb", "", None):
                with _live(picture, out, left) as draw:
                    await _follow(picture, ask, options.interval_s, lambda _: draw(), left)
            else:
                await _follow(picture, ask, options.interval_s, _Lines(picture, out), left)
    return 0


async def _follow(
    picture: Picture,
    ask: Callable[[], Awaitable[Overview]],
    interval_s: float,
    show: Callable[[list[PastEvent]], None],
    left: asyncio.Event,
) -> None:
    """Ask and show, until somebody leaves."""
    asking = asyncio.create_task(_ask_on(picture, ask, interval_s, show), name="top")
    leaving = asyncio.create_task(left.wait(), name="leaving")
    try:
        await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
        if asking.done():
            await asking
    finally:
        for task in (asking, leaving):
            task.cancel()
        await asyncio.gather(asking, leaving, return_exceptions=True)


async def _ask_on(
    picture: Picture,
    ask: Callable[[], Awaitable[Overview]],
    interval_s: float,
    show: Callable[[list[PastEvent]], None],
) -> None:
    loop = asyncio.get_running_loop()
    answered_at = loop.time()
    while True:
        begun, fresh = loop.time(), []
        try:
            fresh = picture.take(await ask())
            answered_at = loop.time()
        except (TimedOut, Unavailable):
            picture.miss("no orchestrator answers", loop.time() - answered_at)
        except ShoalError as error:
            picture.miss(error.message, loop.time() - answered_at)
        show(fresh)
        await asyncio.sleep(max(0.0, begun + interval_s - loop.time()))


@contextlib.contextmanager
def _leaving() -> Iterator[asyncio.Event]:
    """Ctrl-C and SIGTERM set the event instead of ending the program in the middle of a picture."""
    left, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, left.set)
    try:
        yield left
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


class _Lines:
    """Prints what has changed, with the time: for logs and pipes."""

    def __init__(self, picture: Picture, out: TextIO) -> None:
        self._picture = picture
        self._out = out
        self._said = ""

    def __call__(self, fresh: list[PastEvent]) -> None:
        for event in fresh[-_MOST_EVENTS:]:
            self._say(f"  {event_text(event)}")
        left_out = max(0, len(fresh) - _MOST_EVENTS) + self._picture.missed
        if left_out and fresh:
            self._say(f"  … {left_out} more events")
        now = summary(self._picture)
        if now != self._said:
            self._say(f"{datetime.now(UTC):%H:%M:%S}  {now}")
            self._said = now

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _print_once(picture: Picture, out: TextIO, environment: Mapping[str, str]) -> None:
    lines = picture_lines(picture, terminal_width(out) or _WIDTH)
    if not wants_colour(out, environment):
        for line in lines:
            print(plain(line).rstrip(), file=out)
        return
    from rich.console import Console  # noqa: PLC0415  # 100 ms, only at a terminal

    Console(file=out, highlight=False).print(_drawn(lines), end="")


@contextlib.contextmanager
def _live(picture: Picture, out: TextIO, left: asyncio.Event) -> Iterator[Callable[[], None]]:
    """The terminal's other screen, for as long as the block runs; gives what draws the picture anew."""
    from rich.console import Console  # noqa: PLC0415  # 100 ms, only at a terminal
    from rich.live import Live  # noqa: PLC0415  # the same

    console = Console(file=out, highlight=False)
    loop = asyncio.get_running_loop()
    with _keys(left), Live(console=console, screen=True, auto_refresh=False) as live:

        def draw() -> None:
            width, height = console.size
            lines = picture_lines(picture, width, height - 1)
            lines += [()] * (height - 1 - len(lines))
            live.update(_drawn([*lines, (Span("q or Ctrl-C leaves", "dim"),)]), refresh=True)

        loop.add_signal_handler(signal.SIGWINCH, draw)
        try:
            draw()
            yield draw
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)


def _drawn(lines: Sequence[Line]) -> Any:
    """The lines as rich has them."""
    from rich.text import Text  # noqa: PLC0415  # 100 ms, only at a terminal

    text = Text(no_wrap=True, overflow="crop", end="")
    for at, line in enumerate(lines):
        for span in line:
            text.append(span.text, _STYLES[span.mark] or None)
        text.append("\n" if at < len(lines) - 1 else "")
    return text


@contextlib.contextmanager
def _keys(left: asyncio.Event) -> Iterator[None]:
    """Take keys as they are pressed, if there is a keyboard: `q` leaves."""
    if not sys.stdin.isatty():
        yield
        return
    keyboard, loop = sys.stdin.fileno(), asyncio.get_running_loop()

    def pressed() -> None:
        keys = os.read(keyboard, 64)
        if not keys or b"q" in keys.lower() or b"\x04" in keys:
            loop.remove_reader(keyboard)
            left.set()

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, pressed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
