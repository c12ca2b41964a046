"""The prompt, with keys from a pipe."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session, get_app
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from shoal.cli.known import KnownValues
from shoal.cli.printing import Printer
from shoal.cli.prompt import GrammarCompleter, run_interruptibly, run_pasted, run_prompt
from shoal.console.session import Session, console_grammar
from shoal.core.vmconfig import VMConfig
from shoal.errors import Unavailable
from shoal.messages.base import Done, Reply, Request, Said
from shoal.messages.catalogue import COMMANDS
from shoal.messages.files import FileRow, Files, ListFiles
from shoal.messages.hosts import HostRow, ListMesh, Mesh
from shoal.messages.namespaces import (
    CreateNamespace,
    ListNamespaces,
    NamespaceReady,
    NamespaceRow,
    Namespaces,
)
from shoal.messages.vms import ListVMs, StopVMs, VMRow, VMs

GRAMMAR = console_grammar(COMMANDS)


class Cluster:
    """Answers what completion asks for; `down` refuses everything; `vm stop` hangs."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Request[Any]]] = []
        self.down = False

    async def call(self, namespace: str, request: Request[Any]) -> Reply:
        self.asked.append((namespace, request))
        if self.down:
            raise Unavailable("no server")
        match request:
            case ListVMs():
                rows = [
                    VMRow(
                        id=i,
                        namespace=namespace,
                        name=f"web{i}",
                        host="mm1",
                        state="RUNNING",
                        config=VMConfig(),
                    )
                    for i in (1, 2)
                ]
                return VMs(items=tuple(rows), brief=request.summary)
            case ListMesh():
                return Mesh(items=(HostRow(host="mm1"), HostRow(host="mm2")))
            case ListNamespaces():
                return Namespaces(items=(NamespaceRow(namespace="red", vms=0),))
            case ListFiles():
                return Files(items=(FileRow(name="images", directory=True), FileRow(name="a.iso")))
            case CreateNamespace():
                return NamespaceReady()
            case StopVMs():
                await asyncio.sleep(60)
        return Said(text="said") if type(request).reply is Said else Done()

    async def ask(self, namespace: str, request: Request[Any], timeout_s: float) -> Reply:
        del timeout_s
        return await self.call(namespace, request)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def session(cluster: Cluster) -> Session:
    return Session(cluster.call, GRAMMAR)


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vm sta", ["start"]),
        ("vm start ", ["all", "web1", "web2"]),
        ("vm start w", ["web1", "web2"]),
        ("namespace r", ["red"]),
        ("namespace red vm start w", ["web1", "web2"]),
        ("ns add-hosts ", ["all", "localhost", "mm1", "mm2"]),
        ("ns schedule mv a ", ["mm1", "mm2"]),
        ("vm config coschedule 0", []),
        ("vm config cosch", ["coschedule"]),
        ("echo 'open ", []),
        (".csv tr", ["true"]),
        ("vms sta", ["start"]),
        ("vm", ["vm", "vms", "vmx"]),
        ("vm config snap", ["snapshot"]),
        ("vm config snapshot ", ["false", "true"]),
        ("vm config schedule mm", ["mm1", "mm2"]),
        ("vm config kernel im", ["images"]),
        ("vm config memory ", []),
        ("vm config no-such ", []),
    ],
)
async def test_completion(session: Session, cluster: Cluster, text: str, words: list[str]) -> None:
    """The last word is completed from the grammar and from what the cluster knows; aliases are followed."""
    session.aliases.define(["vms=vm"])
    session.aliases.define(["vmx=vm"])
    completer = GrammarCompleter(session, KnownValues(cluster.ask, GRAMMAR))
    assert await completer.words(text) == words


async def test_completion_of_local_paths(
    session: Session, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`read` and `file put` complete paths of this machine, folder by folder; hidden ones only when asked for."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/a.mm", "scripts/b.mm", "start.mm", ".hidden"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    completer = GrammarCompleter(session, KnownValues(cluster.ask, GRAMMAR))
    assert await completer.words("read ") == ["scripts/", "start.mm"]
    assert await completer.words("read scripts/a") == ["scripts/a.mm"]
    assert await completer.words(f"file put {tmp_path}/.h") == [f"{tmp_path}/.hidden"]
    assert await completer.words("read nowhere/") == []


async def test_completion_looks_in_the_active_namespace(session: Session, cluster: Cluster) -> None:
    """The names of VMs are those of the session's namespace."""
    session.namespace = "red"
    completer = GrammarCompleter(session, KnownValues(cluster.ask, GRAMMAR))
    await completer.words("vm kill ")
    assert cluster.asked == [("red", ListVMs(summary=True))]


async def test_completion_without_a_cluster_still_knows_the_language(
    session: Session, cluster: Cluster
) -> None:
    """When the cluster does not answer, words of the grammar are completed all the same."""
    cluster.down = True
    completer = GrammarCompleter(session, KnownValues(cluster.ask, GRAMMAR))
    assert await completer.words("vm start ") == ["all"]
    assert await completer.words("vm st") == ["start", "stop"]


async def prompted(session: Session, cluster: Cluster, folder: Path) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    printer = Printer(out, err, {})
    known = KnownValues(cluster.ask, GRAMMAR)
    async with asyncio.timeout(30):
        code = await run_prompt(session, printer, known, {"XDG_STATE_HOME": str(folder)})
    return code, out.getvalue(), err.getvalue()


async def test_lines_are_carried_out_until_exit(
    session: Session, cluster: Cluster, keys: PipeInput, tmp_path: Path
) -> None:
    """Each line is run and printed; `exit` leaves; the lines are in the history file, which only its owner reads."""
    keys.send_text("echo a\rbogus\rnamespace red\rexit\r")
    code, out, err = await prompted(session, cluster, tmp_path)
    assert (code, out, err) == (0, "a\n", "E: invalid command: `bogus`\n`help` lists the commands\n")
    assert session.namespace == "red"
    history = tmp_path / "shoal" / "history"
    assert "+echo a" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


async def test_pasted_lines_are_carried_out_one_by_one(
    session: Session, cluster: Cluster, keys: PipeInput, tmp_path: Path
) -> None:
    """Several lines at once are each shown and carried out, in the namespace that those before them made active."""
    pasted = "namespace red\n\necho a\n# nothing\necho b\n"
    keys.send_text(f"\x1b[200~{pasted}\x1b[201~\r\x04")
    code, out, err = await prompted(session, cluster, tmp_path)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "shoal[minimega]$ namespace red",
        "shoal[red]$ echo a",
        "a",
        "shoal[red]$ # nothing",
        "shoal[red]$ echo b",
        "b",
    ]


async def test_ctrl_c_ends_what_was_pasted(session: Session) -> None:
    """The lines behind the one that is interrupted are not carried out."""
    out, err = io.StringIO(), io.StringIO()
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    async with asyncio.timeout(30):
        assert not await run_pasted(session, Printer(out, err, {}), "echo a\nvm stop x\necho b")
    assert out.getvalue().splitlines()[1:3] == ["a", "shoal[minimega]$ vm stop x"]
    assert "echo b" not in out.getvalue()


async def test_the_end_of_the_input_leaves(
    session: Session, cluster: Cluster, keys: PipeInput, tmp_path: Path
) -> None:
    """Ctrl-D leaves; Ctrl-C while typing only drops the line."""
    keys.send_text("echo dropp\x03echo a\r\x04")
    assert await prompted(session, cluster, tmp_path) == (0, "a\n", "")


async def test_the_tab_key_completes(
    session: Session, cluster: Cluster, keys: PipeInput, tmp_path: Path
) -> None:
    """Tab completes the word, and adds a space."""
    keys.send_text("ech\t")
    running = asyncio.create_task(prompted(session, cluster, tmp_path))
    while get_app().current_buffer.text != "echo ":  # the buffer tells nobody
        assert not running.done()
        await asyncio.sleep(0.005)
    keys.send_text("a\r\x04")
    assert (await running)[1] == "a\n"


async def test_an_unwritable_home_is_no_error(
    session: Session, cluster: Cluster, keys: PipeInput, tmp_path: Path
) -> None:
    """Where the history cannot be kept the prompt works without."""
    (tmp_path / "shoal").write_text("a file, not a folder")
    keys.send_text("echo a\r\x04")
    assert (await prompted(session, cluster, tmp_path))[0] == 0


async def test_ctrl_c_cancels_the_command_only(session: Session) -> None:
    """Ctrl-C while a command runs gives it up, says so, and leaves the session working."""
    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
    async with asyncio.timeout(30):
        outcome = await run_interruptibly(session, "vm stop x")
    assert outcome.exit_code == 130
    assert outcome.notes[0].startswith("interrupted")
    assert (await run_interruptibly(session, "echo a")).text == "a"
