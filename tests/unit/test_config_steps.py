"""Lines that only configure: sent together, they do what they do one by one."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.printing import Printer
from shoal.cli.script import MAX_STEPS, MAX_STEPS_BYTES, ScriptReader, read_script
from shoal.console.answers import Outcome
from shoal.console.session import Session, console_grammar
from shoal.console.transcript import entry
from shoal.errors import OtherVersion, Unavailable
from shoal.messages.base import Reply, Request
from shoal.messages.catalogue import COMMANDS
from shoal.messages.config import ConfigureSteps
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord
from shoal_orchestrator.handlers import HANDLERS

GRAMMAR = console_grammar(COMMANDS)
MEMBERS = ("mm1", "mm2")


class Namespaces:
    """The records of two namespaces, with the orchestrator's own handlers in front of them."""

    def __init__(self) -> None:
        self.model = Model()
        self.requests: list[Request[Any]] = []
        self.commits = 0
        self.away = False
        self.old = False
        for name in ("minimega", "red"):
            self._put(NamespaceRecord(name=name))
        self._put(ClusterRecord(store="s", head="mm0"))
        self._leader: Any = SimpleNamespace(
            model=self.model,
            namespace=self.model.namespaces.__getitem__,
            hosts_of=lambda _: MEMBERS,
        )

    def _put(self, record: Any) -> None:
        self.model.apply(subject_of(record), record)

    async def call(self, namespace: str, request: Request[Any]) -> Reply:
        if self.away:
            raise Unavailable("nobody answers")
        self.requests.append(request)
        if self.old and isinstance(request, ConfigureSteps):
            raise OtherVersion("the orchestrator does not know this")

        async def commit(changes: Changes, _: Reply) -> None:
            self.commits += 1
            for record in changes.writes.values():
                self._put(record)

        call: Any = SimpleNamespace(commit=commit)
        reply: Reply = await HANDLERS[type(request)](self._leader, namespace, request, call)
        return reply

    def session(self) -> Session:
        return Session(self.call, GRAMMAR)


async def read(folder: Path, namespaces: Namespaces, *lines: str, strict: bool = False) -> tuple[str, int]:
    """The transcript of a script, and its exit code."""
    out = io.StringIO()
    reader = ScriptReader(Printer(out, io.StringIO(), {}), echo=True, strict=strict)
    path = folder / "script.mm"
    path.write_text("\n".join(lines) + "\n")
    outcome = await read_script(reader, namespaces.session(), str(path), check=False)
    return out.getvalue(), outcome.exit_code


LINES = st.sampled_from(
    [
        "vm config memory 128",
        "vm config memory 256",
        "vm config vcpus 2",
        "vm config memory foo",
        "vm config",
        "vm config memory",
        "vm config tag color red",
        "vm config tag color",
        "vm config tags",
        "vm config schedule mm1",
        "vm config schedule mm9",
        "vm config colocate a",
        "vm config net LAN",
        "vm config net foo,101 DMZ",
        "vm config net 5000",
        "clear vm config",
        "clear vm config memory",
        "clear vm config tag color",
        "clear vm config schedule",
        "vm config save kept",
        "vm config restore kept",
        "echo a",
        "",
        "# a comment",
        "namespace red vm config memory 64",
        ".annotate true",
    ]
)


@given(st.lists(LINES, max_size=12))
async def test_together_lines_do_what_they_do_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Whatever the script: the transcript, the exit code, and all records after it are those of single lines."""
    one_by_one, together = Namespaces(), Namespaces()
    session = one_by_one.session()
    expected = [entry(line, await session.run(line)) for line in lines]
    said, _ = await read(tmp_path_factory.mktemp("s"), together, *lines)
    assert said == "\n".join([*(expected or [""]), ""])
    assert together.model.records == one_by_one.model.records
    assert together.commits <= one_by_one.commits


async def test_a_thousand_lines_are_a_few_requests(tmp_path: Path) -> None:
    """What is sent, and committed, is a request for each couple of hundred lines; the last line counts."""
    namespaces = Namespaces()
    lines = [f"vm config memory {number}" for number in range(1, 1001)]
    assert (await read(tmp_path, namespaces, *lines))[1] == 0
    assert [type(request) for request in namespaces.requests] == [ConfigureSteps] * (1000 // MAX_STEPS)
    assert namespaces.commits == 1000 // MAX_STEPS
    assert namespaces.model.namespaces["minimega"].config.memory_mib == 1000


async def test_no_request_is_heavier_than_what_is_read(tmp_path: Path) -> None:
    """Long lines go into more requests, one that is too long for any by itself; none is lost."""
    namespaces = Namespaces()
    long = "x" * (MAX_STEPS_BYTES // 3)
    lines = [f"vm config append {long}{number}" for number in range(7)]
    await read(tmp_path, namespaces, *lines, f"vm config append {long * 4}", "vm config vcpus 2")
    steps = [len(request.steps) for request in namespaces.requests if isinstance(request, ConfigureSteps)]
    assert steps == [2, 2, 2]
    config = namespaces.model.namespaces["minimega"].config
    assert (config.append, config.vcpus) == ((long * 4,), 2)


async def test_strict_scripts_change_nothing_after_the_first_failure(tmp_path: Path) -> None:
    """The failing line is the last of the transcript; what stands after it in the same request is not done."""
    namespaces = Namespaces()
    lines = ("vm config memory 128", "vm config memory foo", "vm config memory 256")
    said, exit_code = await read(tmp_path, namespaces, *lines, strict=True)
    assert said.splitlines()[:2] == ["## vm config memory 128", "## vm config memory foo"]
    assert len(said.splitlines()) == 3
    assert exit_code == 1
    assert namespaces.model.namespaces["minimega"].config.memory_mib == 128


@pytest.mark.parametrize(("strict", "told"), [(False, 2), (True, 1)])
async def test_when_nobody_answers_each_line_has_failed(tmp_path: Path, strict: bool, told: int) -> None:
    """An error of the request is the error of each of its lines, or of the first where that ends the script."""
    namespaces = Namespaces()
    namespaces.away = True
    said, exit_code = await read(
        tmp_path, namespaces, "vm config memory 128", "vm config vcpus 2", strict=strict
    )
    assert said.count("E: nobody answers") == told
    assert exit_code == Unavailable("").exit_code if strict else 1


@pytest.mark.parametrize("strict", [False, True])
async def test_an_orchestrator_that_does_not_know_it_gets_line_by_line(tmp_path: Path, strict: bool) -> None:
    """A client that is newer than the cluster has every line carried out all the same."""
    namespaces = Namespaces()
    namespaces.old = True
    said, exit_code = await read(
        tmp_path, namespaces, "vm config memory 128", "vm config vcpus 2", "vm config cpu x", strict=strict
    )
    assert (said.count("E: "), exit_code) == (0, 0)
    config = namespaces.model.namespaces["minimega"].config
    assert (config.memory_mib, config.vcpus, config.cpu) == (128, 2, "x")


async def test_the_history_has_the_lines() -> None:
    """Lines that were sent together are in the history one by one, unless nothing is recorded."""
    namespaces = Namespaces()
    session = namespaces.session()
    for record in (True, False):
        session.settings = session.settings.set("record", record)
        lines = [" vm config memory 1", "vm config memory 2"]
        steps = [step for line in lines if (step := session.step(line)) is not None]
        assert await session.configure(lines, steps) == [Outcome(), Outcome()]
    assert session.history == ["vm config memory 1", "vm config memory 2"]
