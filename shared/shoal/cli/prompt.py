"""The prompt: `shoal[foo]$`, with history, completion from the grammar and the cluster, and Ctrl-C.

This module refuses to know what lines mean: a session carries them out. It is imported only for a prompt.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import msgspec
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from shoal.cli.known import KnownValues
from shoal.cli.printing import Printer
from shoal.console.answers import Outcome
from shoal.console.session import Session
from shoal.errors import UsageError
from shoal.grammar import split

_EXIT_INTERRUPTED = 130


async def run_prompt(
    session: Session, printer: Printer, known: KnownValues, environment: Mapping[str, str]
) -> int:
    """Read lines and carry them out until `exit` or the end of the input; returns the program's exit code."""
    prompt: PromptSession[str] = PromptSession(
        history=_history(environment),
        completer=GrammarCompleter(session, known),
        complete_while_typing=False,
        enable_history_search=True,
    )
    colour = not environment.get("NO_COLOR")
    while True:
        try:
            line = await prompt.prompt_async(_message(session.namespace, colour=colour))
        except KeyboardInterrupt:
            # Ctrl-C while typing drops the line
            continue
        except EOFError:
            return 0
        session.settings = msgspec.structs.replace(session.settings, width=printer.width)
        if await run_pasted(session, printer, line):
            return 0


async def run_pasted(session: Session, printer: Printer, text: str) -> bool:
    """Carry out what was entered: a line, or several that were pasted, each then shown before its answer.

    The first one that is interrupted ends them. Returns whether to leave the prompt.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines:
        if len(lines) > 1:
            printer.line(f"shoal[{session.namespace}]$ {line.strip()}")
        outcome = await run_interruptibly(session, line)
        printer.outcome(outcome)
        if outcome.leave:
            return True
        if outcome.exit_code == _EXIT_INTERRUPTED:
            break
    return False


async def run_interruptibly(session: Session, line: str) -> Outcome:
    """Carry out a line; Ctrl-C gives up waiting for it and nothing else: what was sent may still happen."""
    task = asyncio.ensure_future(session.run(line))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        if not task.cancelled():
            raise
        return Outcome(
            notes=("interrupted: what was sent may still be carried out",), exit_code=_EXIT_INTERRUPTED
        )
    finally:
        loop.remove_signal_handler(signal.SIGINT)


class GrammarCompleter(Completer):
    """Completes the word before the cursor: words of the grammar, and names that the cluster knows."""

    def __init__(self, session: Session, known: KnownValues) -> None:
        self._session = session
        self._known = known

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> list[Completion]:  # noqa: ARG002  # prompt-toolkit's signature
        """Nothing without a running loop: see `get_completions_async`."""
        return []

    async def get_completions_async(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002  # prompt-toolkit's signature
    ) -> AsyncGenerator[Completion, None]:
        """The completions of the word before the cursor."""
        for word in await self.words(document.text_before_cursor):
            partial = document.text_before_cursor.rpartition(" ")[2]
            # a folder is not the end of a path
            space = "" if word.endswith("/") else " "
            yield Completion(word + space, start_position=-len(partial), display=word)

    async def words(self, text: str) -> list[str]:
        """What the last word of `text` may become."""
        first = " " not in text.lstrip()
        expanded = text if first else self._session.aliases.expand(text)
        before_text, _, partial = expanded.rpartition(" ")
        aliases = [name for name in self._session.aliases.words if first and name.startswith(partial)]
        try:
            before = split(before_text)
        except UsageError:
            return []
        found = await self._known.words(before, partial, self._session.namespace)
        return sorted({*found, *aliases}) if aliases else found


def _message(namespace: str, *, colour: bool) -> FormattedText:
    style = "ansicyan" if colour else ""
    return FormattedText([("", "shoal["), (style, namespace), ("", "]$ ")])


def _history(environment: Mapping[str, str]) -> History:
    """The history file under XDG_STATE_HOME (freedesktop.org's base directories); in memory if it cannot be."""
    home = environment.get("HOME", "")
    base = environment.get("XDG_STATE_HOME") or (f"{home}/.local/state" if home else "")
    if not base:
        return InMemoryHistory()
    path = Path(base) / "shoal" / "history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(path) if os.access(path, os.W_OK) else InMemoryHistory()
