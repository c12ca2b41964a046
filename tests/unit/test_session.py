"""Sessions: from lines to what they print, with a cluster that is a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shoal.console.answers import Outcome
from shoal.console.session import Session, console_grammar
from shoal.errors import NotFound, ShoalError, Unplaceable
from shoal.messages.base import Display, Done, Reply, Request, Said, Table
from shoal.messages.catalogue import COMMANDS
from shoal.messages.namespaces import (
    ClearNamespace,
    CreateNamespace,
    ListNamespaces,
    NamespaceReady,
    NamespaceRow,
    Namespaces,
)
from shoal.messages.vms import ListVMs, StartVMs, StopVMs

GRAMMAR = console_grammar(COMMANDS)


class VMTable(Reply, frozen=True, kw_only=True):
    """Some VMs: the columns that the tests look at."""

    def display(self) -> Display:
        """Show four VMs."""
        return Table(
            columns=("id", "name", "state", "uuid", "host", "namespace"),
            rows=(
                (0, "foo2", "RUNNING", "u2", "mm2", "red"),
                (1, "foo1", "BUILDING", "u1", "mm1", "red"),
                (2, "bar", "RUNNING", "u0", "mm1", "red"),
            ),
            hidden=frozenset({"namespace", "host"}),
        )


class Cluster:
    """Answers requests like a cluster with the namespaces minimega and red would, and notes them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Request[Any]]] = []
        self.namespaces = ["minimega", "red"]
        self.answers: dict[type[Request[Any]], Reply | ShoalError | Callable[[Any], Reply]] = {
            ListVMs: VMTable(),
            CreateNamespace: NamespaceReady(),
        }

    async def call(self, namespace: str, request: Request[Any]) -> Reply:
        self.calls.append((namespace, request))
        if isinstance(request, ListNamespaces):
            rows = [
                NamespaceRow(namespace=name, vms=0, active=name == request.active) for name in self.namespaces
            ]
            return Namespaces(items=tuple(rows))
        if isinstance(request, CreateNamespace) and request.name not in self.namespaces:
            self.namespaces.append(request.name)
        answer = self.answers.get(type(request), Said(text="") if type(request).reply is Said else Done())
        if isinstance(answer, ShoalError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(request)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def session(cluster: Cluster) -> Session:
    return Session(cluster.call, GRAMMAR, version="9.9")


async def texts(session: Session, *lines: str) -> list[str]:
    """What each line printed; none of them may fail."""
    printed = []
    for line in lines:
        outcome = await session.run(line)
        assert outcome.errors == (), line
        assert outcome.exit_code == 0
        printed.append(outcome.text)
    return printed


async def last(session: Session, *lines: str) -> str:
    return (await texts(session, *lines))[-1]


async def error(session: Session, line: str) -> str:
    outcome = await session.run(line)
    assert outcome.exit_code != 0
    (message,) = outcome.errors
    return message


@pytest.mark.parametrize("line", ["", "   ", "# comment", "  # comment"])
async def test_nothing_comes_of_nothing(session: Session, cluster: Cluster, line: str) -> None:
    """A blank line or a comment prints nothing, fails nothing and sends nothing."""
    assert await session.run(line) == Outcome()
    assert cluster.calls == []
    assert session.history == []


async def test_a_command_goes_to_the_active_namespace(session: Session, cluster: Cluster) -> None:
    """`namespace NAME` makes it and makes it active; what follows goes there; `clear namespace` goes back."""
    await texts(
        session, "vm stop a", "namespace red", "vm stop b", "namespace red", "clear namespace", "vm stop c"
    )
    stops = [(ns, request.target) for ns, request in cluster.calls if isinstance(request, StopVMs)]
    assert stops == [("minimega", "a"), ("red", "b"), ("minimega", "c")]


async def test_one_command_in_a_namespace(session: Session, cluster: Cluster) -> None:
    """`namespace NAME (command)` creates it, runs the command there, and the active one stays."""
    await texts(session, "namespace new vm stop a", "vm stop b")
    assert cluster.calls == [
        ("minimega", CreateNamespace(name="new")),
        ("new", StopVMs(target="a")),
        ("minimega", StopVMs(target="b")),
    ]


async def test_the_table_of_namespaces_marks_the_active_one(session: Session) -> None:
    """`namespace` marks the session's namespace, and `namespace X namespace` the one it runs in."""
    table = "namespace | active\n"
    assert (
        await last(session, ".columns namespace,active namespace")
        == table + "minimega  | true\nred       | false"
    )
    assert (
        await last(session, "namespace red .columns namespace,active namespace")
        == table + "minimega  | false\nred       | true"
    )


@pytest.mark.parametrize("cleared", ["red", "all"])
async def test_clearing_the_active_namespace_leaves_it(
    session: Session, cluster: Cluster, cleared: str
) -> None:
    """When the active namespace is cleared the session is in the default one again."""
    await texts(session, "namespace red", f"clear namespace {cleared}")
    assert session.namespace == "minimega"
    assert cluster.calls[-1] == ("red", ClearNamespace(name=cleared))


async def test_a_namespace_that_was_not_cleared_stays_active(session: Session, cluster: Cluster) -> None:
    """A refused `clear namespace`, or one of another namespace, changes nothing."""
    await texts(session, "namespace red", "clear namespace blue")
    cluster.answers[ClearNamespace] = NotFound("no such namespace: red")
    assert await error(session, "clear namespace red") == "no such namespace: red"
    assert session.namespace == "red"


async def test_a_namespace_that_cannot_be_made_is_not_entered(session: Session, cluster: Cluster) -> None:
    """When creating it fails, `namespace NAME` leaves the session where it was, and runs no command."""
    cluster.answers[CreateNamespace] = NotFound("no")
    assert await error(session, "namespace blue") == "no"
    assert await error(session, "namespace blue vm stop a") == "no"
    assert session.namespace == "minimega"
    assert not any(isinstance(request, StopVMs) for _, request in cluster.calls)


@pytest.mark.parametrize(
    "line",
    [
        ".columns name,state,namespace namespace red vm info",
        "namespace red .columns name,state,namespace vm info",
    ],
)
async def test_modifiers_on_either_side_of_a_namespace(session: Session, line: str) -> None:
    """`.columns` before or after `namespace X` prints the same."""
    assert await last(session, line) == (
        "name | state    | namespace\nbar  | RUNNING  | red\nfoo1 | BUILDING | red\nfoo2 | RUNNING  | red"
    )


async def test_failing_commands_are_in_the_history_and_invalid_ones_are_not(
    session: Session, cluster: Cluster
) -> None:
    """What was understood is kept, also when it failed."""
    cluster.answers[StopVMs] = NotFound("vm not found: a")
    await session.run("vm stop a")
    await session.run("bogus")
    assert session.history == ["vm stop a"]


async def test_words_of_the_session(session: Session) -> None:
    """`echo`, `version` and `help` answer without a cluster."""
    assert await texts(session, "echo a  'b  c'", "echo", "version") == ["a b  c", "", "shoal 9.9"]
    assert (await last(session, "help vm start")).startswith("  vm start <target>")
    assert "vm start" in await last(session, "apropos paused")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bogus", "invalid command: `bogus`"),
        ("  vm   strat 'a b' # x", "invalid command: `vm   strat 'a b' # x`"),
        ("namespace foo bogus", "invalid command: `namespace foo bogus`"),
        ("echo 'a", "missing terminal '"),
        ('echo "a', 'missing terminal "'),
        ("ns load mem", "ambiguous command: it could be `ns load memcommit` or `ns load memload`"),
    ],
)
async def test_lines_that_are_no_commands(
    session: Session, cluster: Cluster, line: str, message: str
) -> None:
    """They are errors with exit code 2, and nothing was sent, not even to make the namespace."""
    outcome = await session.run(line)
    assert outcome.errors == (message,)
    assert outcome.exit_code == 2
    assert cluster.calls == []


async def test_the_nearest_commands_are_details(session: Session) -> None:
    """The nearest commands are for a person's eye: details, not errors."""
    outcome = await session.run("vm strat a")
    assert outcome.details[:2] == ("the nearest commands:", "  vm start <target>")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cc clients", "not supported by shoal: cc"),
        ("vm net bond a 0 1", "not supported by shoal: vm net bond"),
        ("namespace red router x", "not supported by shoal: router"),
        ("vm launch container foo", "not supported by shoal: vm launch container"),
    ],
)
async def test_words_of_minimega_that_are_not_ours(session: Session, line: str, message: str) -> None:
    """They are understood, and answered with an error that is no usage error, so that scripts go on."""
    outcome = await session.run(line)
    assert outcome.errors == (message,)
    assert outcome.exit_code == 1


@pytest.mark.parametrize(
    "line", ["backchannel true", "mesh degree 3", "mesh degree", "mesh timeout 10s", ".preprocess false"]
)
async def test_words_of_minimega_without_effect(session: Session, cluster: Cluster, line: str) -> None:
    """They are accepted, print nothing and send nothing."""
    assert await session.run(line) == Outcome()
    assert cluster.calls == []


async def test_errors_of_the_cluster(session: Session, cluster: Cluster) -> None:
    """An error's line, its details and its exit code are the outcome's."""
    cluster.answers[StartVMs] = Unplaceable("no room", details=("a: mm1 is full",))
    outcome = await session.run("vm start a")
    assert outcome == Outcome(errors=("no room",), details=("a: mm1 is full",), exit_code=1)
    cluster.answers[StartVMs] = NotFound("vm not found: a")
    assert (await session.run("vm start a")).exit_code == 5


async def test_words_are_not_split_again(session: Session) -> None:
    """A program's arguments are words already: spaces, quotes and `#` in them stay."""
    outcome = await session.run_words(["echo", "a  b", "#", "'x"])
    assert outcome.text == "a  b # 'x"
    assert (await session.run_words([])) == Outcome()
    assert (await session.run_words(["bogus", "a b"])).errors == ('invalid command: `bogus "a b"`',)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("namespace foo", "put it before a command, as in `namespace foo vm info`"),
        (".csv true", "put it before a command, as in `.csv true vm info`"),
        (".headers false", "put it before a command, as in `.headers false vm info`"),
        (".alias a=b", "every line is a session of its own"),
    ],
)
async def test_a_session_of_one_line_refuses_what_would_be_lost(
    cluster: Cluster, line: str, hint: str
) -> None:
    """`shoal.console` has no session: what only changes one is refused, with a hint, and does nothing."""
    session = Session(cluster.call, GRAMMAR, one_shot=True)
    assert (await error(session, line)).endswith(hint)
    assert cluster.calls == []


async def test_a_session_of_one_line_runs_commands(cluster: Cluster) -> None:
    """With a command after them the same words work there."""
    session = Session(cluster.call, GRAMMAR, one_shot=True)
    assert (
        await last(session, "namespace foo .csv true .columns name .filter name=bar vm info") == "name\nbar"
    )
    assert await last(session, ".csv") == "false"


@pytest.mark.parametrize("line", ["shell ls", "read x.mm"])
async def test_files_and_programs_belong_to_the_prompt(session: Session, line: str) -> None:
    """Where nobody carries them out, `shell` and `read` are refused."""
    assert "works at a prompt and in scripts" in await error(session, line)


async def test_shell_and_read_are_carried_out_by_the_owner(cluster: Cluster) -> None:
    """They get the words, and the namespace that a script shall run in; afterwards the active one is back."""
    seen: list[object] = []

    async def shell(program: object) -> str:
        seen.append(program)
        return "out"

    async def read(session: Session, file: str, check: bool) -> Outcome:
        seen.append((session.namespace, file, check))
        return Outcome(text="read", errors=("b", "a"), exit_code=3)

    session = Session(cluster.call, GRAMMAR, shell=shell, read=read)
    assert await last(session, "shell ls '-l x'") == "out"
    outcome = await session.run("namespace red read x.mm check")
    assert outcome == Outcome(text="read", errors=("a", "b"), exit_code=3)
    assert seen == [("ls", "-l x"), ("red", "x.mm", True)]
    assert session.namespace == "minimega"


async def test_exit_says_so(session: Session) -> None:
    """`exit` and `quit` end the prompt or the script: the outcome says so."""
    assert (await session.run("exit")).leave
    assert (await session.run("quit")).leave
    assert not (await session.run("echo")).leave
