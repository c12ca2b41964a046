"""The program `shoal`: from arguments to an exit code.

This module refuses to know how commands are carried out. It imports what a call needs and no more: `shoal help`
and `shoal -e version` never see NATS, structlog, rich or prompt-toolkit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn, TextIO

from shoal.cli import programs
from shoal.cli.connection import Connection
from shoal.cli.options import HELP, Options, misplaced, parse_options, parse_read
from shoal.cli.printing import Printer
from shoal.cli.script import ScriptReader, read_script
from shoal.cli.transfers import Transfers
from shoal.console.modifiers import Settings
from shoal.console.session import DEFAULT_NAMESPACE, Session, console_grammar
from shoal.errors import InvalidRequest, ShoalError, UsageError
from shoal.messages.catalogue import COMMANDS
from shoal.settings.file import find_file
from shoal.version import version

_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141
_LAST_WORDS_S = 1.0
#: set in the environment, it shows the traceback of a fault of the program itself
_DEBUG = "SHOAL_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with these arguments (the process's by default); returns the exit code.

    The codes are DESIGN.md section 7's; 130 after Ctrl-C and 141 when nobody reads the output, as shells have it.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # a name that the terminal's encoding lacks is shown as an escape, and is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    printer = Printer(sys.stdout, sys.stderr, os.environ)
    try:
        options = parse_options(
            sys.argv[1:] if arguments is None else arguments,
            os.environ,
            DEFAULT_NAMESPACE,
            # the usual file may hold what only the daemons may read
            lambda named: find_file(named, os.environ, lenient=True),
        )
        if options.help or options.version:
            printer.line(HELP if options.help else f"shoal {version()}")
            return 0
        if options.words and options.words[0] in programs.PROGRAMS:
            os.environ.update(options.passed_on)
            programs.become(options.words)
        if options.words[:1] == ("top",):
            return _top(options, printer)
        if options.words[:1] == ("completion",):
            return _completion(options, printer)
        return asyncio.run(_run(options, printer))
    except ShoalError as error:
        _complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader has gone: nothing more can be said, not even while Python flushes its files at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_BROKEN_PIPE
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        _say(sys.stderr, f"E: shoal itself failed: {type(error).__name__}: {error}")
        _say(sys.stderr, f"{_DEBUG}=1 shows where; a report of it is welcome")
        return ShoalError.exit_code


def _top(options: Options, printer: Printer) -> int:
    from shoal.cli import top  # noqa: PLC0415  # only those who look need it

    wanted = top.parse_top(options.words[1:])
    if wanted.help:
        printer.line(top.HELP)
        return 0
    return asyncio.run(top.run_top(wanted, options.server, sys.stdout, os.environ))


def _completion(options: Options, printer: Printer) -> int:
    from shoal.cli import completion  # noqa: PLC0415  # only shells ask for it

    return completion.run_completion(options, printer)


async def _run(options: Options, printer: Printer) -> int:
    async with Connection(options.server, timeout_s=options.timeout_s, stderr=sys.stderr) as connection:
        grammar = console_grammar(COMMANDS)
        scripted = options.words[:1] == ("read",) and "--help" not in options.words
        read = parse_read(options.words[1:]) if scripted else None
        reader = ScriptReader(printer, echo=bool(read and read.echo), strict=bool(read and read.strict))
        session = Session(
            connection.call,
            grammar,
            namespace=options.namespace,
            # a transcript is what it is, wherever it is read
            settings=Settings(mode=options.output, width=0 if read and read.echo else printer.width),
            version=version(),
            read=reader,
            shell=run_program,
            transfer=Transfers(connection, sys.stderr),
        )
        if read is not None:
            outcome = await read_script(reader, session, read.file, check=read.check)
            printer.outcome(outcome)
            return outcome.exit_code
        if options.lines or options.words:
            return await _run_lines(options, session, printer)
        if not sys.stdin.isatty():
            outcome = await read_script(reader, session, "-", check=False)
            printer.outcome(outcome)
            return outcome.exit_code
        return await _prompt(session, connection, printer)


async def _run_lines(options: Options, session: Session, printer: Printer) -> int:
    """The commands of the arguments; the exit code is the last failing one's."""
    exit_code = 0
    if options.words:
        outcome = await session.run_words(options.words)
        printer.outcome(outcome)
        exit_code = outcome.exit_code
        hint = misplaced(options.words) if exit_code == UsageError.exit_code else ""
        if hint:
            _say(sys.stderr, hint)
    for line in options.lines:
        outcome = await session.run(line)
        printer.outcome(outcome)
        exit_code = outcome.exit_code or exit_code
        if outcome.leave:
            break
    last = options.lines[-1].split() if options.lines else list(options.words)
    if (
        last[:1]
        and "namespace".startswith(last[0])
        and session.namespace != options.namespace
        and len(last) == 2
    ):
        _note(
            f"`{' '.join(last)}` lasts no longer than this call: use --namespace {session.namespace}, "
            "or set SHOAL_NAMESPACE"
        )
    return exit_code


async def _prompt(session: Session, connection: Connection, printer: Printer) -> int:
    from shoal.cli.known import KnownValues  # noqa: PLC0415  # only a prompt completes
    from shoal.cli.prompt import run_prompt  # noqa: PLC0415  # prompt-toolkit takes 150 ms to import

    printer.line(f"shoal {version()}: `help` lists the commands, `exit` or Ctrl-D leaves")
    known = KnownValues(connection.ask, session.grammar)
    return await run_prompt(session, printer, known, os.environ)


async def run_program(program: Sequence[str]) -> str:
    """Run a program to its end and return what it wrote to stdout and stderr.

    Raises InvalidRequest, with minimega's words, when there is no such program or it fails.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise InvalidRequest(f'exec: "{program[0]}": executable file not found in $PATH') from None
    except (OSError, ValueError) as error:
        raise InvalidRequest(f'exec: "{program[0]}": {error}') from None
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        # Ctrl-C at a terminal ends the program too: process.kill() would look first whether it has ended, and take its
        # exit status away from the loop, which then complains
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):  # whom it has started may hold its output open
            async with asyncio.timeout(_LAST_WORDS_S):
                await process.communicate()
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  # asyncio has no other way to give up its output
        raise
    text = "\n".join(part for part in (_decoded(out), _decoded(err)) if part)
    if process.returncode:
        raise InvalidRequest(
            f"`{program[0]}` ended with exit status {process.returncode}", details=tuple(text.splitlines())
        )
    return text


def _decoded(output: bytes) -> str:
    return output.decode(errors="replace").strip()


def _complain(error: ShoalError) -> None:
    for line in (f"E: {error.message}", *error.details):
        _say(sys.stderr, line)


def _note(text: str) -> None:
    _say(sys.stderr, f"note: {text}")


def _say(stream: TextIO, line: str) -> None:
    print(line, file=stream, flush=True)


def run() -> NoReturn:
    """End the process with `main`'s exit code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
