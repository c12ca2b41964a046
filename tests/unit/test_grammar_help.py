"""Help and completion, from the real catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from shoal.console.session import Session, console_grammar
from shoal.core.vmconfig_fields import FIELDS
from shoal.errors import UsageError
from shoal.grammar import Grammar
from shoal.messages.base import Reply, Request
from shoal.messages.catalogue import COMMANDS

GRAMMAR = console_grammar(COMMANDS)


def complete(before: str, partial: str = "") -> list[str]:
    return GRAMMAR.complete(before.split(), partial, lambda field: [f"<{field}>"] if not partial else [])


def test_help_of_one_command_has_syntax_text_and_example() -> None:
    """`help vm launch` shows how it is written, what it does and an example; the command of that name first."""
    text = GRAMMAR.help(["vm", "launch"])
    assert text.startswith("  vm launch kvm <names> [config]\n\nLaunch VMs")
    assert "\n\nExample: vm launch kvm web[1-3]" in text


def test_help_words_may_be_shortened() -> None:
    """The words after `help` may be prefixes, as anywhere."""
    assert GRAMMAR.help(["vm", "la"]) == GRAMMAR.help(["vm", "launch"])


def test_help_of_a_command_that_others_begin_with_lists_those() -> None:
    """`help vm config` tells of `vm config` in full and lists `vm config save` and its like."""
    text = GRAMMAR.help(["vm", "config"])
    assert text.startswith("  vm config\n  vm config <field> [values]...\n\n")
    assert "See also:\nvm config save <name> " in text


def test_help_of_a_beginning_lists_what_begins_so() -> None:
    """`help ns` is a list, a line each, of the commands whose first word is `ns`."""
    lines = GRAMMAR.help(["ns"]).splitlines()
    assert len(lines) > 5
    assert all(line.startswith("ns ") and len(line) <= 110 for line in lines)


def test_the_overview_has_every_command() -> None:
    """`help` has a line of at most 110 characters for each command."""
    lines = [line for line in GRAMMAR.help([]).splitlines() if line]
    beginning = 6
    assert lines[0] == "to begin with:"
    assert [line.split()[0] for line in lines[1:beginning]] == ["vm", "vm", "vm", "vm", "clear"]
    assert len(lines) == beginning + len({spelling.command for spelling in GRAMMAR.spellings}) + 1
    assert max(map(len, lines)) <= 110


def test_no_help() -> None:
    """Words that begin no command are a UsageError that says how to go on."""
    with pytest.raises(UsageError, match=r"^no help entry for `bogus`; `help` lists the commands$"):
        GRAMMAR.help(["bogus"])


def test_no_help_for_a_slip_of_the_pen() -> None:
    """When there is no help for words that are almost a command, the nearest commands are details."""
    with pytest.raises(UsageError, match=r"^no help entry for `vm lunch`") as caught:
        GRAMMAR.help(["vm", "lunch"])
    assert "  vm launch kvm <names> [config]" in caught.value.details


@pytest.mark.parametrize(
    ("line", "near"),
    [
        (".csv true zzz", ".csv [true,false] (command)"),
        ("namespace 7 zzz", "namespace <name> (command)"),
        ("namespace 7 vm lunch kvm a", "vm launch kvm <names> [config]"),
    ],
)
def test_the_nearest_command_of_a_nested_one(line: str, near: str) -> None:
    """What is near is looked for in the nested command; where nothing is, what is around it is shown."""
    assert near in GRAMMAR.nearest(line.split())


def test_the_nearest_commands_example_shows_the_quotes() -> None:
    """Words that one command alone is near to are answered with its example: there the quotes stand right."""
    with pytest.raises(UsageError) as caught:
        GRAMMAR.match(["vm", "qmp", "web1", "{execute:", "query-status}"])
    assert """for example: vm qmp web1 '{"execute": "query-status"}'""" in caught.value.details


@pytest.mark.parametrize("line", ["vm config networks", "vm config net lan,100", "vm conf append"])
def test_help_of_a_whole_line_is_that_of_its_command(line: str) -> None:
    """The words after `help` may be a line as it would be typed, with values: the help is its command's."""
    assert GRAMMAR.help(line.split()) == GRAMMAR.help(["vm", "config"]).partition("\n\nSee also:")[0]


def test_lists_end_where_a_clause_ends() -> None:
    """A text that is too long for its line in a list is cut where a clause of it ends."""
    lines = GRAMMAR.help(["tap"]).splitlines()
    assert [line for line in lines if line.startswith("tap create")] == [
        f"{'tap create ...':<31}Give the head (or another host) an interface in a VLAN …"
    ]


def test_lists_show_that_words_are_missing() -> None:
    """Where the list has no room for the whole spelling, dots say that the command takes more words."""
    lines = GRAMMAR.help(["ns"]).splitlines()
    assert any(line.startswith("ns schedule mv ... ") for line in lines)
    assert any(line.startswith("ns queue  ") for line in lines)


def test_the_fields_of_a_configuration_are_explained() -> None:
    """`help vm config` tells of each field what its value is."""
    text = GRAMMAR.help(["vm", "config"])
    assert [field.name for field in FIELDS if field.attribute and f"\n    {field.name} " not in text] == []


def test_help_of_a_word_that_is_not_ours() -> None:
    """Help on a word of minimega that Shoal lacks says just that."""
    assert "does not have" in GRAMMAR.help(["cc"])


def test_apropos_looks_into_words_and_texts() -> None:
    """`apropos` finds commands by a word of their help, whatever its case; without any it says nothing."""
    assert any(line.startswith("ns queueing") for line in GRAMMAR.apropos("QUEUE").splitlines())
    assert any(line.startswith("vm launch") for line in GRAMMAR.apropos("queue").splitlines())
    assert GRAMMAR.apropos("zebra") == ""


@pytest.mark.parametrize(
    ("before", "partial", "found"),
    [
        ("", "v", ["version", "vlans", "vm"]),
        ("vm", "s", ["save", "screenshot", "start", "stop"]),
        ("vm config", "", ["<field>", "clone", "restore", "save"]),
        ("vm config save", "", ["<name>"]),
        ("vm start", "", ["<target>"]),
        ("ns load", "", ["cpucommit", "memcommit", "memload", "netcommit"]),
        ("ns load memload", "rel", ["relative"]),
        ("tap create 10", "", ["bridge", "dhcp", "ip", "name", "on"]),
        ("tap create 10 on", "", ["<host>"]),
        ("vm start a", "", []),
        ("bogus", "", []),
    ],
)
def test_completion(before: str, partial: str, found: list[str]) -> None:
    """The next word is completed from literals, choices, flags and the values of the fields that may follow."""
    assert complete(before, partial) == found


@pytest.mark.parametrize(
    "before", ["namespace foo", ".csv true", ".csv", ".columns name,state", "namespace a .sort f"]
)
def test_completion_goes_into_nested_commands(before: str) -> None:
    """After a modifier or `namespace X` the words of a command follow, and are completed like its own."""
    assert "vm" in complete(before, "v")
    assert complete(f"{before} vm", "st") == ["start", "stop"]


def test_completion_of_nothing_knows_every_first_word() -> None:
    """At an empty prompt every first word of the language is offered, and no word of the peer's."""
    first = {spelling.pattern.literals[0] for spelling in GRAMMAR.spellings}
    assert set(complete("")) == first
    assert "cc" not in complete("")


def test_a_grammar_of_no_commands_is_fine() -> None:
    """Nothing is known by a grammar without commands, and nothing breaks."""
    assert Grammar(()).complete([], "", lambda _: ()) == []
    assert Grammar(()).nearest(["vm"]) == ()


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("list", ["vm info"]),
        ("ps", ["vm info"]),
        ("vm list", ["vm info"]),
        ("vm delete web1", ["vm kill", "vm flush"]),
        ("vm rm web1", ["vm kill", "vm flush"]),
        ("status", ["mesh overview", "vm info"]),
        ("start web1", ["vm start"]),
        ("namespace red vm rm web1", ["vm kill", "vm flush"]),
    ],
)
def test_words_of_other_programs_lead_to_ours(line: str, near: list[str]) -> None:
    """What other programs call it is answered with what it is called here, and with nothing else."""
    for words in (line.split(), tuple(line.split())):  # typed at a prompt, and as arguments
        found = [" ".join(syntax.split()[:2]) for syntax in GRAMMAR.nearest(words)]
        assert list(dict.fromkeys(found)) == near


def test_help_of_a_vms_command_without_its_noun() -> None:
    """`help launch` is the help of `vm launch`."""
    assert GRAMMAR.help(["launch"]) == GRAMMAR.help(["vm", "launch"])


async def test_a_command_may_be_asked_for_help() -> None:
    """`--help` behind a command prints its help and sends nothing; a program that is run gets it itself."""

    async def call(_: str, request: Request[Any]) -> Reply:
        raise AssertionError(request)

    ran: list[Sequence[str]] = []

    async def shell(program: Sequence[str]) -> str:
        ran.append(program)
        return ""

    session = Session(call, GRAMMAR, shell=shell)
    for line in ("vm start --help", "vm start web1 --help"):
        outcome = await session.run(line)
        assert (outcome.exit_code, outcome.text) == (0, GRAMMAR.help(["vm", "start"])), line
    assert (await session.run("bogus --help")).exit_code == 2
    await session.run("shell ls --help")
    assert ran == [("ls", "--help")]
