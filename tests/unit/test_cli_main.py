"""The program as a whole, with a cluster that is a function."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import shoal.client
from shoal.cli import programs
from shoal.cli import progress as progress_module
from shoal.cli.main import main
from shoal.cli.progress import progress_on
from shoal.errors import InvalidRequest, NotFound, ShoalError, Unavailable
from shoal.messages.base import Done, Reply, Request, Said
from shoal.messages.namespaces import (
    CreateNamespace,
    ListNamespaces,
    NamespaceReady,
    NamespaceRow,
    Namespaces,
)
from shoal.messages.vms import KillVMs, StopVMs

Answer = Callable[[Request[Any]], Reply]


class FakeClient:
    """Stands for `shoal.client`: notes how it was opened and called."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str]] = []
        self.calls: list[tuple[str, Request[Any], dict[str, Any]]] = []
        self.closed = 0
        self.refuses: ShoalError | None = None

    @asynccontextmanager
    async def connect(self, server: str = "", *, name: str = "") -> AsyncIterator[FakeClient]:
        self.opened.append((server, name))
        if self.refuses is not None:
            raise self.refuses
        try:
            yield self
        finally:
            self.closed += 1

    async def call(self, request: Request[Any], *, namespace: str, **how: Any) -> Reply:
        self.calls.append((namespace, request, how))
        if isinstance(request, ListNamespaces):
            return Namespaces(items=(NamespaceRow(namespace="minimega", vms=2, active=True),))
        if isinstance(request, CreateNamespace):
            return NamespaceReady(created=True)
        if isinstance(request, KillVMs):
            raise NotFound(f"vm not found: {request.target}")
        return Said(text="said") if type(request).reply is Said else Done()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeClient]:
    fake = FakeClient()
    monkeypatch.setattr(shoal.client, "connect", fake.connect)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for name in ("NATS_URL", "SHOAL_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    yield fake
    assert fake.closed == (0 if fake.refuses else len(fake.opened))


def test_words(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """The arguments are a command; its answer is all that stdout gets."""
    assert main(["namespace"]) == 0
    assert capsys.readouterr() == ("namespace | vms | vlans | active\nminimega  | 2   |       | true\n", "")
    assert client.opened == [("nats://127.0.0.1:4222", "shoal-cli")]


def test_words_with_spaces_stay_words(client: FakeClient) -> None:
    """An argument with spaces or a `#` reaches the request as it is."""
    assert main(["vm", "stop", "a b#c"]) == 0
    assert client.calls[0][:2] == ("minimega", StopVMs(target="a b#c"))


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("csv", "namespace,vms,vlans,active\nminimega,2,,true\n"),
        ("name", "minimega\n"),
        (
            "json",
            '[\n  {\n    "namespace": "minimega",\n    "vms": 2,\n    "vlans": "",\n    "active": "true"\n  }\n]\n',
        ),
    ],
)
def test_outputs(client: FakeClient, capsys: pytest.CaptureFixture[str], output: str, text: str) -> None:
    """`-o` prints tables in the form that was asked for."""
    assert main(["-o", output, "namespace"]) == 0
    assert capsys.readouterr().out == text
    assert client.opened


def test_lines_share_a_session(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """Several `-e` are lines of one session; the exit code is the last failing one's."""
    assert main(["-e", "namespace red", "-e", "vm kill x", "-e", "vm stop y"]) == 5
    assert client.calls[-1][:2] == ("red", StopVMs(target="y"))
    assert capsys.readouterr().err == "E: vm not found: x\n"


def test_the_namespace_of_a_call(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--namespace` and SHOAL_NAMESPACE set the active namespace, and the option wins."""
    monkeypatch.setenv("SHOAL_NAMESPACE", "blue")
    main(["vm", "stop", "x"])
    main(["--namespace", "red", "vm", "stop", "x"])
    assert [namespace for namespace, _, _ in client.calls] == ["blue", "red"]


@pytest.mark.parametrize("arguments", [["-e", "namespace foo"], ["namespace", "foo"]])
def test_entering_a_namespace_for_one_call_is_warned_of(
    client: FakeClient, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A namespace that is made active by the last command of a call is not active in the next one: that is said."""
    assert main(arguments) == 0
    error = capsys.readouterr().err
    assert error.startswith("note: `namespace foo` lasts no longer than this call")
    assert (
        main([*arguments[:-1], "namespace foo vm stop x"] if arguments[0] == "-e" else ["vm", "stop", "x"])
        == 0
    )
    assert capsys.readouterr().err == ""
    assert client.calls


def test_the_timeout_goes_with_the_call(client: FakeClient) -> None:
    """`--timeout` reaches the client; without it the client's own rule holds."""
    main(["--timeout", "2.5", "vm", "stop", "x"])
    main(["vm", "stop", "x"])
    assert [how.get("timeout_s") for _, _, how in client.calls] == [2.5, None]


def test_no_cluster(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """When there is no server, its error is one line and the exit code 5."""
    client.refuses = Unavailable("no NATS server at nats://x")
    assert main(["--server", "nats://x", "vm", "stop", "x"]) == 5
    assert capsys.readouterr() == ("", "E: no NATS server at nats://x\n")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "error"),
    [
        (["bogus"], 2, "E: invalid command: `bogus`\n`help` lists the commands\n"),
        (["--bogus"], 2, "E: unknown option `--bogus`; `shoal --help` lists them\n"),
        (["read"], 2, "E: expected one file: shoal read [--echo] [--strict] [--check] <file>\n"),
        (["read", "/no/such"], 5, "E: cannot read script `/no/such`: no such file\n"),
        (["-e", "echo 'a"], 2, "E: missing terminal '\n"),
    ],
)
def test_wrong_calls(
    client: FakeClient, capsys: pytest.CaptureFixture[str], arguments: list[str], exit_code: int, error: str
) -> None:
    """A call that is wrong is an error on stderr that says how to go on, and nothing is connected to."""
    assert main(arguments) == exit_code
    assert capsys.readouterr() == ("", error)
    assert client.opened == []


@pytest.mark.parametrize("command", [["vm", "launch"], ["read"]])
def test_help_behind_a_command(
    client: FakeClient, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """`shoal vm launch --help` is `shoal help vm launch`: it succeeds, and asks no cluster."""
    assert main(["help", *command]) == 0
    told = capsys.readouterr()
    assert main([*command, "--help"]) == 0
    assert capsys.readouterr() == told
    assert client.opened == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (
            ["vm", "info", "--server", "nats://x"],
            "options stand before the command: `shoal --server … vm info`",
        ),
        (["vm", "info", "-o", "json"], "options stand before the command: `shoal -o … vm info`"),
        (["vm", "info", "--timeout=3"], "options stand before the command: `shoal --timeout … vm info`"),
        (["vm", "launch", "-h"], "ask for help with `shoal help vm launch`"),
        (["help", "lab"], "`lab` is a program of its own: `shoal lab --help`"),
    ],
)
def test_arguments_in_the_wrong_place(
    client: FakeClient, capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    """When words are no command and hold an option of the program, the last line says where it belongs."""
    assert main(arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == hint
    assert client.opened == []


def test_options_among_the_words_of_a_command_are_words(
    client: FakeClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """Words that are a command are never taken for options, whatever they look like."""
    assert main(["echo", "--server", "-o"]) == 0
    assert capsys.readouterr() == ("--server -o\n", "")
    assert client.opened == []


def test_help_and_version(client: FakeClient, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` fits a screen and `--version` a line; neither needs a cluster."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 35
    assert max(map(len, text.splitlines())) < 115
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("shoal ")
    assert client.opened == []


def test_read_runs_a_script(client: FakeClient, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`shoal read --echo FILE` prints the transcript; the exit code tells that a line failed."""
    script = tmp_path / "a.mm"
    script.write_text("# hello\nnamespace\nvm kill x\n")
    assert main(["read", "--echo", str(script)]) == 3
    out, err = capsys.readouterr()
    assert out == (
        "## # hello\n## namespace\nnamespace | vms | vlans | active\nminimega  | 2   |       | true\n"
        "## vm kill x\nE: vm not found: x\n"
    )
    assert err == ""
    assert len(client.opened) == 1


def test_a_pipe_is_a_script(
    client: FakeClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a command and without a terminal stdin is a script."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("echo a\nvm stop x\n"))
    assert main([]) == 0
    assert capsys.readouterr().out == "a\n"
    assert len(client.calls) == 1


def test_a_program_is_told_of_the_server(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """`shoal --server URL worker` becomes the worker, with the server in its environment."""
    became: list[tuple[tuple[str, ...], str | None]] = []

    def become(words: tuple[str, ...]) -> None:
        became.append((words, os.environ.get("NATS_URL")))
        raise InvalidRequest("became it")

    monkeypatch.setattr(programs, "become", become)
    monkeypatch.setenv("NATS_URL", "nats://old")
    main(["--server", "nats://x", "worker", "--simulate"])
    assert became == [(("worker", "--simulate"), "nats://x")]
    assert client.opened == []


HEAVY = ("nats", "structlog", "rich", "prompt_toolkit", "msgpack", "libvirt", "pyroute2")


@pytest.mark.parametrize("arguments", [["-e", "version"], ["--help"], ["help"], ["bogus"], ["echo", "a"]])
def test_what_needs_no_cluster_imports_no_library(arguments: list[str]) -> None:
    """`shoal -e version` and its like never import NATS, structlog, rich or prompt-toolkit: they would be slow."""
    code = f"import sys; from shoal.cli.main import main; main({arguments!r}); print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_no_server_is_said_soon() -> None:
    """With nothing listening the real client gives up within a few seconds, exit code 5, one line."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", "--server", "nats://127.0.0.1:9", "vm", "info"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 5
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(
        "E: no NATS server at nats://127.0.0.1:9 (Connection refused); start a cluster"
    )
    assert time.monotonic() - started < 15


def test_output_that_nobody_reads_is_no_error() -> None:
    """`shoal help | head -1` ends quietly."""
    command = f"{sys.executable} -c 'from shoal.cli.main import run; run()' help | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("to begin with:")
    assert done.stderr == ""


async def test_progress_is_silent_for_what_is_quick() -> None:
    """A command that answers within a second shows nothing."""
    stream = io.StringIO()
    async with progress_on(stream) as progress:
        progress(1, 2, "launched")
        await asyncio.sleep(0)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
async def test_progress_of_what_is_slow(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    """After its patience it shows how far the command is; on a terminal on a line that it takes away again."""
    monkeypatch.setattr(progress_module, "_PATIENCE_S", 0.01)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    async with asyncio.timeout(20), progress_on(stream) as progress:
        progress(1, 2, "launched")
        while "launched 1/2" not in stream.getvalue():  # the stream tells nobody
            await asyncio.sleep(0.005)
    assert stream.getvalue().endswith("launched 1/2\n") is not terminal


def test_an_interrupt_ends_the_program(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a command runs ends the program with 130, and the client is closed."""

    async def call(request: Request[Any], **_: Any) -> Reply:
        del request
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(60)
        return Done()

    monkeypatch.setattr(client, "call", call)
    # Tests that a shell has put into the background begin with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["vm", "stop", "x"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fault_of_the_program_is_one_line(
    client: FakeClient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected is told in a line that says how to see more, and SHOAL_DEBUG shows all of it."""

    async def broken(request: Request[Any], **_: Any) -> Reply:
        raise RuntimeError(f"no {request.noun}")

    monkeypatch.setattr(client, "call", broken)
    assert main(["vm", "info"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("E: shoal itself failed: RuntimeError: no vm\n")
    assert "SHOAL_DEBUG=1" in error
    assert "Traceback" not in error
    monkeypatch.setenv("SHOAL_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["vm", "info"])
