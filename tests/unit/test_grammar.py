"""Words to requests."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidRequest, UsageError
from shoal.grammar import Grammar, split
from shoal.messages.base import Done, Request


class Start(Request[Done], frozen=True, kw_only=True):
    """Start VMs."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "start"
    words: ClassVar[tuple[str, ...]] = ("vm start <target>",)

    target: str


class Launch(Request[Done], frozen=True, kw_only=True):
    """Launch VMs.

    They wait.

    Example: vm launch kvm a
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "launch"
    words: ClassVar[tuple[str, ...]] = ("vm launch <kind:kvm> <names> [config]",)

    names: str
    kind: str = "kvm"
    config: str = ""


class Info(Request[Done], frozen=True, kw_only=True):
    """Show VMs."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "info"
    words: ClassVar[tuple[str, ...]] = ("vm info [summary?]",)

    summary: bool = False


class Configure(Request[Done], frozen=True, kw_only=True):
    """Set a field."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "config"
    words: ClassVar[tuple[str, ...]] = ("vm config", "vm config <field> [values...]")

    field: str = ""
    values: tuple[str, ...] = ()


class Save(Request[Done], frozen=True, kw_only=True):
    """Save the configuration."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "save-config"
    words: ClassVar[tuple[str, ...]] = ("vm config save <name>",)

    name: str


class Load(Request[Done], frozen=True, kw_only=True):
    """Set the load."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "load"
    words: ClassVar[tuple[str, ...]] = ("ns load [policy:cpucommit,memload,memcommit] [relative?]",)

    policy: str = ""
    relative: bool = False


class Queueing(Request[Done], frozen=True, kw_only=True):
    """Set queueing."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "queueing"
    words: ClassVar[tuple[str, ...]] = ("ns queueing [enabled:true,false]",)

    enabled: bool | None = None


class Create(Request[Done], frozen=True, kw_only=True):
    """Create a tap."""

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "create"
    words: ClassVar[tuple[str, ...]] = (
        "tap create <vlan> [name <tap>] [on <host>]",
        "tap resize <vlan> <mtu>",
    )

    vlan: Annotated[int, msgspec.Meta(extra={"error": "expected integer VLAN"})]
    tap: str = ""
    host: str = ""
    mtu: Annotated[int, msgspec.Meta(extra={"error": "invalid MTU: `{word}`"})] | None = None


class Resize(Request[Done], frozen=True, kw_only=True):
    """Set numbers."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "resize"
    words: ClassVar[tuple[str, ...]] = ("vm resize <vcpus> [memory_mib]", "vm resize keep <keep>")

    vcpus: Annotated[int, msgspec.Meta(ge=1)] = 1
    memory_mib: int | None = None
    keep: bool = True


class Capture(Request[Done], frozen=True, kw_only=True):
    """Words, and then perhaps a host."""

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "start"
    words: ClassVar[tuple[str, ...]] = ("capture <files...> [on <host>]",)

    files: tuple[str, ...]
    host: str = ""


class Within(Request[Done], frozen=True, kw_only=True):
    """One command in a namespace."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "within"
    words: ClassVar[tuple[str, ...]] = ("namespace <name> (command)",)

    name: str
    command: tuple[str, ...]


class Enter(Request[Done], frozen=True, kw_only=True):
    """Enter a namespace."""

    noun: ClassVar[str] = "namespace"
    verb: ClassVar[str] = "create"
    words: ClassVar[tuple[str, ...]] = ("namespace <name>",)

    name: str


class Flag(Request[Done], frozen=True, kw_only=True):
    """A setting, for one command or for all."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "csv"
    words: ClassVar[tuple[str, ...]] = (".csv [on:true,false]", ".csv [on:true,false] (command)")

    on: bool | None = None
    command: tuple[str, ...] = ()


class Foreign(Request[Done], frozen=True, kw_only=True):
    """Not ours."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "foreign"
    words: ClassVar[tuple[str, ...]] = ("file [arguments...]", "vm infinite")

    arguments: tuple[str, ...] = ()


ALL: tuple[type[Request[Any]], ...] = (
    *(Start, Launch, Info, Configure, Save, Load, Queueing, Create, Resize, Capture, Within, Enter, Flag),
)


@pytest.fixture
def grammar() -> Grammar:
    return Grammar(ALL, fallback=(Foreign,))


def refusal(grammar: Grammar, line: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        grammar.parse(split(line))
    return caught.value


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("vm start web[1-3]", Start(target="web[1-3]")),
        ("vm launch kvm a", Launch(names="a")),
        ("vm launch kvm a saved", Launch(names="a", config="saved")),
        ("vm info", Info()),
        ("vm info summary", Info(summary=True)),
        ("vm config", Configure()),
        ("vm config net a b", Configure(field="net", values=("a", "b"))),
        ("vm config append ''", Configure(field="append", values=("",))),
        ("vm config save x", Save(name="x")),
        ("ns load memload relative", Load(policy="memload", relative=True)),
        ("ns load relative", Load(relative=True)),
        ("ns queueing true", Queueing(enabled=True)),
        ("ns queueing false", Queueing(enabled=False)),
        ("ns queueing", Queueing()),
        ("tap create 10 on mm1", Create(vlan=10, host="mm1")),
        ("tap create 10 name t on mm1", Create(vlan=10, tap="t", host="mm1")),
        ("vm resize 2 1024", Resize(vcpus=2, memory_mib=1024)),
        ("vm resize keep false", Resize(keep=False)),
        ("capture a b c", Capture(files=("a", "b", "c"))),
        ("capture a b on mm1", Capture(files=("a", "b"), host="mm1")),
        ("capture on on", Capture(files=("on", "on"))),
        ("capture on on on", Capture(files=("on",), host="on")),
        ("namespace foo", Enter(name="foo")),
        ("namespace foo vm info", Within(name="foo", command=("vm", "info"))),
        (
            "namespace foo namespace bar vm info",
            Within(name="foo", command=("namespace", "bar", "vm", "info")),
        ),
    ],
)
def test_a_line_is_its_request(grammar: Grammar, line: str, request_: Request[Any]) -> None:
    """Words in full make the request that the pattern says, with typed values."""
    assert grammar.parse(split(line)) == request_


@pytest.mark.parametrize(
    ("line", "request_"),
    [
        ("vm s web", Start(target="web")),
        ("v i s", Info(summary=True)),
        ("vm i", Info()),
        ("vm la k a", Launch(names="a")),
        ("ns l cpu r", Load(policy="cpucommit", relative=True)),
        ("ns q t", Queueing(enabled=True)),
        ("t c 1 n x o h", Create(vlan=1, tap="x", host="h")),
        ("names foo v i", Within(name="foo", command=("v", "i"))),
    ],
)
def test_words_may_be_shortened(grammar: Grammar, line: str, request_: Request[Any]) -> None:
    """Literal words, choices and flags may be given as unambiguous prefixes."""
    assert grammar.parse(split(line)) == request_


def test_exact_wins_over_prefix(grammar: Grammar) -> None:
    """A word that is written out is that word, also where it is a prefix of another (`ns`, `namespace`)."""
    assert grammar.parse(["ns", "load"]) == Load()
    assert refusal(grammar, "n load").message == "ambiguous command: it could be `namespace` or `ns`"


def test_a_literal_wins_over_a_value_only_in_full(grammar: Grammar) -> None:
    """`save` is the command, while its prefix `sav` is the name of a field."""
    assert grammar.parse(["vm", "config", "save", "x"]) == Save(name="x")
    assert grammar.parse(["vm", "config", "sav", "x"]) == Configure(field="sav", values=("x",))


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("ns load mem", "`ns load memcommit` or `ns load memload`"),
        ("n load", "`namespace` or `ns`"),
        ("namespace foo ns load mem", "`ns load memcommit` or `ns load memload`"),
    ],
)
def test_ambiguous_words_name_the_candidates(grammar: Grammar, line: str, candidates: str) -> None:
    """A prefix of several words is an error that lists them, with exit code 2."""
    error = refusal(grammar, line)
    assert error.message == f"ambiguous command: it could be {candidates}"
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("vm start", ["vm start <target>"]),
        ("vm strat web", ["vm start <target>"]),
        ("vmm info", ["vm info [summary]"]),
        ("start web", ["vm start <target>"]),
        ("namespace foo vm strat web", ["vm start <target>"]),
        ("queueing", ["ns queueing [true,false]"]),
        ("vm info brief", ["vm info [summary]"]),
        ("bogus", []),
    ],
)
def test_unknown_words_get_the_nearest_commands(grammar: Grammar, line: str, nearest: list[str]) -> None:
    """What is no command is told as it was typed, and details name the nearest commands, best first."""
    error = refusal(grammar, line)
    assert error.message == f"invalid command: `{line}`"
    assert error.exit_code == 2
    assert [detail.strip() for detail in error.details[1:-1]][:1] == nearest[:1]
    assert error.details[:-1][:1] == (("the nearest commands:",) if nearest else ())


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("bogus", "`help` lists the commands"),
        ("vm", "`help vm` tells more"),
        ("vm start", "`help vm start` tells more"),
        ("namespace foo vm start", "`help vm start` tells more"),
    ],
)
def test_unknown_words_get_a_way_on(grammar: Grammar, line: str, way: str) -> None:
    """The last detail says what to ask `help` for: the words that all of the nearest commands begin with."""
    assert refusal(grammar, line).details[-1] == way


def test_the_error_shows_the_line_as_it_was_typed(grammar: Grammar) -> None:
    """Quotes and spaces of the line survive in the error; of bare words a line is made."""
    with pytest.raises(UsageError, match=r"^invalid command: `bogus  'a b'`$"):
        grammar.match(["bogus", "a b"], line=" bogus  'a b' ")
    with pytest.raises(UsageError, match=r'^invalid command: `bogus "a b"`$'):
        grammar.match(["bogus", "a b"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tap create LAN", "expected integer VLAN"),
        ("tap resize 7 {big}", "invalid MTU: `{big}`"),
        ("vm resize two", "invalid vcpus: expected an integer, not `two`"),
        ("vm resize 1_0", "invalid vcpus: expected an integer, not `1_0`"),
        (f"vm resize {'9' * 30}", f"invalid vcpus: expected an integer, not `{'9' * 30}`"),
        ("vm resize 1 2.5", "invalid memory-mib: expected an integer, not `2.5`"),
        ("vm resize keep maybe", "invalid keep: expected true or false, not `maybe`"),
    ],
)
def test_a_value_of_the_wrong_type_is_told(grammar: Grammar, line: str, message: str) -> None:
    """An integer or boolean field says what it expected; a class may give its own text."""
    with pytest.raises(InvalidRequest) as caught:
        grammar.parse(split(line))
    assert str(caught.value) == message
    assert not isinstance(caught.value, UsageError)


def test_a_value_outside_its_bounds_is_told(grammar: Grammar) -> None:
    """A bound in the field's type is an InvalidRequest that names the command and the field."""
    with pytest.raises(InvalidRequest, match=r"vm resize: .*>= 1.*vcpus"):
        grammar.parse(["vm", "resize", "0"])


def test_a_nested_command_must_be_one(grammar: Grammar) -> None:
    """A command in a command is matched too, so that a mistake in it is found before anything is done."""
    match = grammar.match(["namespace", "foo", "vm", "start", "a"])
    assert match.command is Within
    assert match.inner is not None
    assert grammar.request(match.inner) == Start(target="a")
    assert refusal(grammar, "namespace foo bogus").message == "invalid command: `namespace foo bogus`"


def test_a_choice_wins_over_a_nested_command(grammar: Grammar) -> None:
    """`.csv f vm info` is `.csv false` before a command, although `f` could begin the command `file`."""
    assert grammar.parse(split(".csv f vm info")) == Flag(on=False, command=("vm", "info"))
    assert grammar.parse(split(".csv vm info")) == Flag(command=("vm", "info"))
    assert grammar.parse(split(".csv t")) == Flag(on=True)


def test_fallback_commands_come_last(grammar: Grammar) -> None:
    """A foreign command is found only where none of ours fits, and makes none of ours ambiguous."""
    assert grammar.parse(["file", "list"]) == Foreign(arguments=("list",))
    assert grammar.parse(["vm", "inf"]) == Info()
    assert grammar.match(["namespace", "a", "file"]).inner is not None


def test_nesting_has_an_end(grammar: Grammar) -> None:
    """Commands in commands in commands are refused at some depth instead of exhausting the stack."""
    with pytest.raises(UsageError, match="more than 16 deep"):
        grammar.parse(["namespace", "a"] * 5000 + ["vm", "info"])


def test_long_lists_are_quick(grammar: Grammar) -> None:
    """A line of many words is read in linear time (this would take minutes otherwise)."""
    words = ["capture", *("x" for _ in range(10_000)), "on", "mm1"]
    assert grammar.parse(words) == Capture(files=tuple(words[1:-2]), host="mm1")


@given(st.lists(st.text(max_size=6), max_size=6))
def test_any_words_are_a_request_or_a_usage_error(words: list[str]) -> None:
    """Whatever is typed, the answer is a request or an error of ours."""
    grammar = Grammar(ALL)
    with suppress(InvalidRequest):
        assert isinstance(grammar.parse(words), Request)
