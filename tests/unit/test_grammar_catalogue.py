"""The commands that there are: each is spelled in a way of its own, and has help."""

from __future__ import annotations

from itertools import chain, product
from typing import Any

import msgspec
import pytest

from shoal.console.local import LOCAL_COMMANDS
from shoal.console.peer import PEER_COMMANDS
from shoal.console.session import console_grammar
from shoal.grammar import split
from shoal.grammar.explain import help_of
from shoal.grammar.patterns import NESTED, Element, Literal, Maybe, Nested, Pattern, Value, parse_pattern
from shoal.messages.base import Request
from shoal.messages.catalogue import COMMANDS
from shoal.messages.config import ConfigureSteps

ALL = (*COMMANDS, *LOCAL_COMMANDS)
#: what no person would type: scripts and programs send it
FOR_PROGRAMS = {ConfigureSteps}
GRAMMAR = console_grammar(COMMANDS)
EVERY_PATTERN = [(command, text) for command in (*ALL, *PEER_COMMANDS) for text in command.words]


def spelled(element: Element) -> list[list[str]]:
    """The ways to write an element: every choice, and an optional part with all its words and without."""
    if isinstance(element, Literal):
        return [[element.text]]
    if isinstance(element, Nested):
        return [["vm", "info"]]
    if isinstance(element, Maybe):
        return [[], *sequences(element.elements)]
    return [[choice] for choice in element.choices] or [["1"]]


def sequences(elements: tuple[Element, ...]) -> list[list[str]]:
    return [list(chain.from_iterable(parts)) for parts in product(*map(spelled, elements))]


def fields(elements: tuple[Element, ...]) -> set[str]:
    found: set[str] = set()
    for element in elements:
        if isinstance(element, Maybe):
            found |= fields(element.elements)
        elif isinstance(element, Nested):
            found.add(NESTED)
        elif isinstance(element, Value) or element.field:
            found.add(element.field)
    return found


@pytest.mark.parametrize(("command", "text"), EVERY_PATTERN, ids=[text for _, text in EVERY_PATTERN])
def test_every_way_to_write_a_command_is_that_command(command: type[Request[Any]], text: str) -> None:
    """Each pattern, with and without its optional parts and with every choice, is read as its own class."""
    pattern: Pattern = parse_pattern(text)
    for words in sequences(pattern.elements):
        match = GRAMMAR.match(words)
        assert match.command is command, words
        assert isinstance(GRAMMAR.request(match), command)


@pytest.mark.parametrize(("command", "text"), EVERY_PATTERN, ids=[text for _, text in EVERY_PATTERN])
def test_every_field_of_a_pattern_is_a_field_of_the_class(command: type[Request[Any]], text: str) -> None:
    """A pattern names no field that its class does not have."""
    assert fields(parse_pattern(text).elements) <= set(command.__struct_fields__)


def test_no_two_commands_have_a_pattern_in_common() -> None:
    """Two classes never accept the same words, all written out."""
    owner: dict[tuple[str, ...], type[Request[Any]]] = {}
    for command in ALL:
        for text in command.words:
            for words in sequences(parse_pattern(text).elements):
                assert owner.setdefault(tuple(words), command) is command, words


@pytest.mark.parametrize("command", ALL)
def test_every_command_has_help(command: type[Request[Any]]) -> None:
    """A command's docstring begins with one sentence, and its example is a command of that class."""
    told = help_of(command)
    assert told.summary
    assert told.summary[0].isupper() or told.summary[0] == "`"
    assert told.summary.endswith((".", ")", "!"))
    assert command.words or command in FOR_PROGRAMS
    if told.example:
        match = GRAMMAR.match(split(told.example))
        commands = {match.command}
        while match.inner is not None:
            match = match.inner
            commands.add(match.command)
        assert commands & {command, *LOCAL_COMMANDS}, told.example


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_sent_under_a_name_of_its_own(command: type[Request[Any]]) -> None:
    """No two commands share noun and verb; a bare body is read by the class that the subject names."""
    same = [c for c in COMMANDS if (c.scope, c.noun, c.verb) == (command.scope, command.noun, command.verb)]
    assert same == [command]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_needs_nothing_takes_an_empty_body(command: type[Request[Any]]) -> None:
    """Where all fields have defaults and a pattern has no values, the stock tool may send an empty body."""
    needs_nothing = any(
        [] in sequences(parse_pattern(t).elements[len(parse_pattern(t).fixed) :]) for t in command.words
    )
    required = [field for field in msgspec.structs.fields(command) if field.required]
    if needs_nothing and not required:
        assert isinstance(GRAMMAR.parse_bare(command, ""), command)
