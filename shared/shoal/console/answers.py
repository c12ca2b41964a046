"""What a line led to: replies gathered from their pages, answers on their way out, and the final outcome.

This module refuses to know the words of the language and how a request is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from shoal.console.fitting import fit
from shoal.console.modifiers import Settings
from shoal.console.per_host import folded, lines_of_hosts, view_of_hosts
from shoal.console.tables import HOST, View, annotated, in_order, render, text_as_json, view_of
from shoal.errors import ShoalError
from shoal.messages.base import Failure, PerHost, Reply, Request, Table

#: sends a request of a namespace and waits for its reply; raises ShoalError
Call = Callable[[str, Request[Any]], Awaitable[Reply]]

_EXIT_FAILED = 1
_TOO_WIDE = "too wide for the terminal, left out: {}; `.columns` names what to show, a pipe gets everything"
_EXIT_PARTLY = 3


class Outcome(msgspec.Struct, frozen=True):
    """What a line printed and how it ended.

    `errors` are a line each, without the `E: `; `details` belong to them (reasons, nearest commands) and are
    for a person at a prompt only; `notes` are no errors. `leave` is true after `exit`.
    """

    text: str = ""
    errors: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    leave: bool = False

    def as_text(self) -> str:
        """All of it as one text, as a prompt would print it: errors, their details, notes, and the answer."""
        lines = [*(f"E: {error}" for error in self.errors), *self.details]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, *([self.text] if self.text else [])])


def failed(error: ShoalError) -> Outcome:
    """The outcome of a line that raised this error."""
    return Outcome(errors=(error.message,), details=error.details, exit_code=error.exit_code)


class Answer(msgspec.Struct, frozen=True):
    """The answer to a command before it is rendered: a view or a text, and the settings it will be shown with.

    `per_host` tells that several hosts answered: then equal answers are folded, if the settings say so.
    """

    settings: Settings
    shown: View | str = ""
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    leave: bool = False
    per_host: PerHost | None = None

    def outcome(self, host: str) -> Outcome:
        """Render it. `host` is where answers come from that do not name a host themselves."""
        errors = sorted(failure.message for failure in self.failures)
        details = tuple(line for failure in self.failures for line in failure.details)
        text, notes = self._text(host)
        return Outcome(text, tuple(errors), details, (*self.notes, *notes), self.exit_code, self.leave)

    def _text(self, host: str) -> tuple[str, tuple[str, ...]]:
        """The answer as text, and what is to be said of it."""
        settings, shown = self.settings, self.shown
        if not isinstance(shown, View):
            return self._plain(shown, host), ()
        if self.per_host is not None and settings.compress:
            shown = folded(shown)
        view = annotated(shown.shown, host) if settings.annotate else shown.shown
        view = in_order(view) if settings.sort else view
        left_out: tuple[str, ...] = ()
        if settings.mode == "table" and settings.width:
            view, left_out = fit(view, settings.width, headers=settings.headers)
        text = render(view, settings.mode, headers=settings.headers, host=host)
        return text, (_TOO_WIDE.format(", ".join(left_out)),) if left_out else ()

    def _plain(self, shown: str, host: str) -> str:
        settings = self.settings
        if self.per_host is not None:
            shown = lines_of_hosts(self.per_host, compress=settings.compress)
            return text_as_json(shown, host) if settings.mode == "json" else shown
        if settings.mode == "json":
            return text_as_json(shown, host)
        if settings.mode == "objects" and shown:
            return msgspec.json.encode(shown).decode()
        return f"{host}: {shown}" if settings.annotate and shown and host else shown


def answer_of(reply: Reply, settings: Settings) -> Answer:
    """The answer that a reply is."""
    display = reply.display()
    if isinstance(display, PerHost):
        rows = view_of_hosts(display)
        # rows that name their hosts themselves are told apart by them
        own = rows is not None and any(
            HOST in a.table.columns and HOST not in a.table.hidden for a in display.answers if a.table
        )
        answers = None if own else display
        return Answer(settings, rows or "", reply.failures, reply.notes, _exit_code(reply), per_host=answers)
    shown = view_of(display) if isinstance(display, Table) else display
    return Answer(settings, shown, reply.failures, reply.notes, _exit_code(reply))


def _exit_code(reply: Reply) -> int:
    """The reply's own verdict without failures; with some, 3 where it tells of anything that went well too, else 1."""
    if not reply.failures:
        return reply.verdict()
    common = set(Reply.__struct_fields__)
    told = [name for name in reply.__struct_fields__ if name not in common]
    well = not told or any(getattr(reply, name) for name in told)
    return _EXIT_PARTLY if well else _EXIT_FAILED


async def call_all(call: Call, namespace: str, request: Request[Any]) -> Reply:
    """Send a request and, where the reply is a page, ask for all further ones; returns them as one reply.

    Pages have `items` and `next`, their requests `after` (DESIGN.md section 2). Raises what `call` raises, and
    ShoalError when pages repeat.
    """
    reply = await call(namespace, request)
    if not (reply.next and "after" in request.__struct_fields__ and "items" in reply.__struct_fields__):
        return reply
    pages = [reply]
    asked: set[str] = set()
    while pages[-1].next:
        after = pages[-1].next
        if after in asked:
            raise ShoalError(
                f"the pages of `{request.noun} {request.verb}` repeat after `{after}`: the list never ends"
            )
        asked.add(after)
        request = msgspec.structs.replace(request, after=after)
        pages.append(await call(namespace, request))
    items = tuple(item for page in pages for item in page.items)  # type: ignore[attr-defined]  # seen above
    return msgspec.structs.replace(
        reply,
        items=items,
        notes=tuple(dict.fromkeys(note for page in pages for note in page.notes)),
        failures=tuple(failure for page in pages for failure in page.failures),
        next="",
    )
