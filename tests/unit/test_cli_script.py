"""Scripts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from shoal.cli.printing import Printer
from shoal.cli.script import ScriptReader, check_lines, read_script
from shoal.console.answers import Outcome
from shoal.console.session import Aliases, Session, console_grammar
from shoal.errors import NotFound
from shoal.messages.base import Done, Reply, Request, Said
from shoal.messages.catalogue import COMMANDS
from shoal.messages.vms import KillVMs, StopVMs

GRAMMAR = console_grammar(COMMANDS)


class Script:
    """A folder for scripts, and a session that runs them; `vm kill` always fails."""

    def __init__(self, folder: Path, **how: bool) -> None:
        self.folder = folder
        self.calls: list[tuple[str, Request[Any]]] = []
        self.out = io.StringIO()
        self.err = io.StringIO()
        self.reader = ScriptReader(Printer(self.out, self.err, {}), **how)
        self.session = Session(self.call, GRAMMAR, read=self.reader)

    async def call(self, namespace: str, request: Request[Any]) -> Reply:
        self.calls.append((namespace, request))
        if isinstance(request, KillVMs):
            raise NotFound(f"vm not found: {request.target}", details=("look at vm info",))
        return Said(text="") if type(request).reply is Said else Done()

    def write(self, name: str, *lines: str) -> str:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    async def read(self, *lines: str, check: bool = False) -> Outcome:
        return await read_script(self.reader, self.session, self.write("a.mm", *lines), check=check)


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


async def test_lines_run_in_order_and_print_as_they_go(script: Script) -> None:
    """Each line's text goes to stdout; comments and blank lines print nothing."""
    outcome = await script.read("# first", "echo a", "", "  echo b  # more", "vm stop x")
    assert outcome == Outcome()
    assert script.out.getvalue() == "a\nb\n"
    assert script.calls == [("minimega", StopVMs(target="x"))]


async def test_nothing_runs_where_any_line_is_no_command(script: Script) -> None:
    """Every line is checked first: the errors name file and line, the exit code is 2, nothing was sent."""
    outcome = await script.read("vm stop x", "vm strat y", "echo 'a", "ns load mem", "vm stop z")
    path = script.folder / "a.mm"
    assert outcome.errors == (
        f"{path}:2: invalid command: `vm strat y`",
        f"{path}:3: missing terminal '",
        f"{path}:4: ambiguous command: it could be `ns load memcommit` or `ns load memload`",
    )
    assert outcome.exit_code == 2
    assert script.calls == []
    assert script.out.getvalue() == ""


async def test_check_runs_nothing(script: Script) -> None:
    """`check` says what is wrong and runs nothing, also when all is well."""
    assert await script.read("vm stop x", check=True) == Outcome()
    assert (await script.read("bogus", check=True)).exit_code == 2
    assert script.calls == []


async def test_a_failing_line_does_not_stop_the_script(script: Script) -> None:
    """What fails is told on stderr, the rest runs, and the exit code is 3."""
    outcome = await script.read("vm kill x", "cc clients", "vm stop y")
    assert outcome.exit_code == 3
    assert script.err.getvalue() == "E: vm not found: x\nlook at vm info\nE: not supported by shoal: cc\n"
    assert len(script.calls) == 2


async def test_where_every_line_fails_the_script_fails(script: Script) -> None:
    """When nothing went well the exit code is 1."""
    assert (await script.read("# c", "vm kill x", "")).exit_code == 1


async def test_strict_stops_at_the_first_failing_line(tmp_path: Path) -> None:
    """With `--strict` the first failing line is the last, and its exit code the script's."""
    script = Script(tmp_path, strict=True)
    outcome = await script.read("vm stop x", "vm kill y", "vm stop z")
    assert outcome.exit_code == 5
    assert len(script.calls) == 2


async def test_the_transcript(tmp_path: Path) -> None:
    """`--echo` prints each line with its output and errors; details and notes go to stderr."""
    script = Script(tmp_path, echo=True)
    await script.read("# a comment", "echo a", "", "vm kill x", "  echo b ")
    assert (
        script.out.getvalue()
        == "## # a comment\n## echo a\na\n\n## vm kill x\nE: vm not found: x\n## echo b\nb\n"
    )
    assert script.err.getvalue() == "look at vm info\n"


async def test_the_namespace_of_a_script_stays_active(script: Script) -> None:
    """What a script makes active stays so after it; each line runs in the namespace active by then."""
    await script.read("vm stop a", "namespace red", "vm stop b")
    stops = [(ns, request.target) for ns, request in script.calls if isinstance(request, StopVMs)]
    assert stops == [("minimega", "a"), ("red", "b")]
    assert script.session.namespace == "red"


async def test_a_script_reads_another(script: Script) -> None:
    """`read` in a script runs the other one in the same session, where it stands."""
    other = script.write("b.mm", "namespace red", "echo b", "vm kill x")
    outcome = await script.read("echo a", f"read {other}", "vm stop c")
    assert script.out.getvalue() == "a\nb\n"
    assert script.calls[-1] == ("red", StopVMs(target="c"))
    assert outcome.exit_code == 3


async def test_a_script_in_a_transcript(tmp_path: Path) -> None:
    """A script that a transcript's script reads prints its answers there, without lines of its own."""
    script = Script(tmp_path, echo=True)
    other = script.write("b.mm", "echo b", "vm kill x", "echo c")
    await script.read(f"read {other}", "echo d")
    assert script.out.getvalue() == f"## read {other}\nb\nc\nE: vm not found: x\n## echo d\nd\n"


async def test_a_script_that_reads_itself_ends(script: Script) -> None:
    """Endless reading is an error at some depth."""
    path = str(script.folder / "a.mm")
    outcome = await script.read(f"read {path}")
    assert outcome.exit_code != 0
    assert "more than 16 deep" in script.err.getvalue()


async def test_exit_ends_a_script(script: Script) -> None:
    """What stands after `exit` is not run; the reader of the script goes on."""
    other = script.write("b.mm", "exit", "echo never")
    await script.read(f"read {other}", "echo a", "exit", "echo b")
    assert script.out.getvalue() == "a\n"


async def test_aliases_are_followed_while_checking(script: Script) -> None:
    """A line that is a command only by an alias of an earlier line is one; checking defines nothing."""
    outcome = await script.read(".alias s=vm stop", "s x", ".alias", ".unalias s", check=True)
    assert outcome == Outcome()
    assert script.session.aliases.words == {}


def test_a_value_that_does_not_fit_is_no_syntax() -> None:
    """Lines that will be refused when they run, such as an alias without `=`, pass the check."""
    assert check_lines(GRAMMAR, Aliases(), "x", ["vlans add A foo", ".alias x", "vm config memory foo"]) == []


@pytest.mark.parametrize(
    ("make", "message", "exit_code"),
    [
        (lambda _: None, "no such file", 5),
        (lambda path: path.mkdir(), "Is a directory", 1),
        (lambda path: path.write_bytes(b"\xff\xfe"), "it is not text in UTF-8", 1),
    ],
)
async def test_files_that_cannot_be_read(script: Script, make: Any, message: str, exit_code: int) -> None:
    """A script that is not there or not text is a one-line error that names it."""
    path = script.folder / "b.mm"
    make(path)
    outcome = await read_script(script.reader, script.session, str(path), check=False)
    assert outcome.errors == (f"cannot read script `{path}`: {message}",)
    assert outcome.exit_code == exit_code


async def test_line_numbers_count_lines(script: Script) -> None:
    """Carriage returns are white space, and only newlines end lines, so that the numbers are an editor's."""
    (script.folder / "c.mm").write_bytes(b"echo a\r\necho \x0cb\r\nbogus\r\n")
    outcome = await read_script(script.reader, script.session, str(script.folder / "c.mm"), check=False)
    assert outcome.errors == (f"{script.folder / 'c.mm'}:3: invalid command: `bogus`",)
