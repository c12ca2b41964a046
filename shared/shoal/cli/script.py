"""Scripts: every line is checked before the first is run, and a line that fails does not stop the rest.

This module refuses to know the words of the language and the terminal.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from shoal.cli.printing import Printer
from shoal.console.answers import Outcome
from shoal.console.local import Alias
from shoal.console.session import Aliases, Session
from shoal.console.transcript import entry
from shoal.errors import InvalidRequest, NotFound, ShoalError, UsageError
from shoal.grammar import Grammar, split
from shoal.messages.config import ConfigStep

#: how deep scripts may read scripts
MAX_DEPTH = 16
#: lines that go into one request, and what they may weigh: a request holds at most 64 KiB
MAX_STEPS = 200
MAX_STEPS_BYTES = 32 * 1024
_EXIT_FAILED = 1
_EXIT_USAGE = 2
_EXIT_PARTLY = 3


def check_lines(grammar: Grammar, aliases: Aliases, name: str, lines: Sequence[str]) -> list[str]:
    """The lines that are no commands, as `name:line: why`. `aliases` are followed as the lines define them."""
    aliases = aliases.copy()
    wrong: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            words = split(aliases.expand(line))
            if not words:
                continue
            request = grammar.request(grammar.match(words, line=line))
            if isinstance(request, Alias) and request.alias:
                aliases.define(request.alias)
        except UsageError as error:
            wrong.append(f"{name}:{number}: {error.message}")
        except InvalidRequest:
            # a value that does not fit its field is an error of that line when it is run
            continue
    return wrong


def _steps(session: Session, lines: Sequence[str]) -> list[ConfigStep]:
    """What the first of these lines change of the configuration, up to one that does anything else."""
    steps: list[ConfigStep] = []
    size = 0
    for line in lines:
        size += len(line.encode())
        step = session.step(line)
        if step is None or size > MAX_STEPS_BYTES:
            break
        steps.append(step)
    return steps


def read_lines(file: str) -> list[str]:
    """The lines of a script; `-` is stdin. Raises NotFound or InvalidRequest."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"cannot read script `{file}`: no such file", names=(file,)) from None
    except OSError as error:
        raise InvalidRequest(f"cannot read script `{file}`: {error.strerror}") from error
    except UnicodeDecodeError:
        raise InvalidRequest(f"cannot read script `{file}`: it is not text in UTF-8") from None
    return text.removesuffix("\n").split("\n") if text else []


class ScriptReader:
    """Carries out scripts in a session; also the session's `read`.

    With `echo` a transcript is printed; `strict` stops at the first line that fails. Scripts that scripts read
    print into their reader's transcript, without lines of their own.
    """

    def __init__(self, printer: Printer, *, echo: bool = False, strict: bool = False) -> None:
        self._printer = printer
        self._echo = echo
        self._strict = strict
        self._depth = 0

    async def __call__(self, session: Session, file: str, check: bool) -> Outcome:
        """Check a script and, unless only that is asked for, run it.

        The outcome's exit code is 2 where lines are no commands (nothing is run then), 1 where every command
        failed, 3 where some did. Raises ShoalError when the file cannot be read.
        """
        lines = read_lines(file)
        wrong = check_lines(session.grammar, session.aliases, file, lines)
        if wrong:
            return Outcome(errors=tuple(wrong), exit_code=_EXIT_USAGE)
        if check:
            return Outcome()
        if self._depth >= MAX_DEPTH:
            raise InvalidRequest(
                f"cannot read script `{file}`: scripts read scripts more than {MAX_DEPTH} deep"
            )
        self._depth += 1
        try:
            return await self._run(session, lines)
        finally:
            self._depth -= 1

    async def _run(self, session: Session, lines: Sequence[str]) -> Outcome:
        gathered: list[Outcome] = []
        ran = failures = 0
        async with contextlib.aclosing(self._outcomes(session, lines)) as outcomes:
            async for line, outcome in outcomes:
                gathered.append(outcome)
                self._show(line, outcome)
                ran += bool(line.strip()) and not line.lstrip().startswith("#")
                failures += outcome.exit_code != 0
                if outcome.leave:
                    break
                if outcome.exit_code and self._strict:
                    return self._ended(gathered, outcome.exit_code)
        if not failures:
            return self._ended(gathered, 0)
        return self._ended(gathered, _EXIT_FAILED if failures == ran else _EXIT_PARTLY)

    async def _outcomes(
        self, session: Session, lines: Sequence[str]
    ) -> AsyncGenerator[tuple[str, Outcome], None]:
        """Each line with its outcome. Lines in a row that only configure are sent together."""
        at = 0
        while at < len(lines):
            steps = _steps(session, lines[at : at + MAX_STEPS])
            if len(steps) > 1:
                done = await session.configure(lines[at : at + len(steps)], steps, strict=self._strict)
                for line, outcome in zip(lines[at:], done, strict=False):
                    yield line, outcome
                at += len(done)
            else:
                yield lines[at], await session.run(lines[at])
                at += 1

    def _show(self, line: str, outcome: Outcome) -> None:
        if not self._echo:
            self._printer.outcome(outcome)
        elif self._depth == 1:
            self._printer.line(entry(line, outcome))
            self._printer.beside(outcome)

    def _ended(self, gathered: Sequence[Outcome], exit_code: int) -> Outcome:
        """What the reader of this script is told: all that was printed, where it was not printed already."""
        if not self._echo or self._depth == 1:
            return Outcome(exit_code=exit_code)
        return Outcome(
            text="\n".join(outcome.text for outcome in gathered if outcome.text),
            errors=tuple(error for outcome in gathered for error in outcome.errors),
            details=tuple(line for outcome in gathered for line in outcome.details),
            notes=tuple(note for outcome in gathered for note in outcome.notes),
            exit_code=exit_code,
        )


async def read_script(reader: ScriptReader, session: Session, file: str, *, check: bool) -> Outcome:
    """As the program's verb `read`: like the reader, but a file that cannot be read is an outcome too."""
    try:
        return await reader(session, file, check)
    except ShoalError as error:
        return Outcome(errors=(error.message,), details=error.details, exit_code=error.exit_code)
