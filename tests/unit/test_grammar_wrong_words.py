"""Commands with too few, too many and wrong words, made from their own patterns.

What no pattern accepts is found out here with a reader of patterns that is as simple as can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, product
from typing import Any

import msgspec
import pytest

from shoal.console.local import LOCAL_COMMANDS
from shoal.console.peer import PEER_COMMANDS
from shoal.console.session import Session, console_grammar
from shoal.grammar.patterns import Element, Literal, Maybe, Nested, Value, parse_pattern
from shoal.messages.base import Done, Reply, Request
from shoal.messages.catalogue import COMMANDS

GRAMMAR = console_grammar(COMMANDS)
REAL = [command for command in (*COMMANDS, *LOCAL_COMMANDS) if command.words]
PATTERNS = [
    parse_pattern(text).elements
    for command in (*COMMANDS, *LOCAL_COMMANDS, *PEER_COMMANDS)
    for text in command.words
]
#: begins like no word of the language, is no number and neither true nor false
WRONG = "zzz9"
#: they take whatever follows, or nothing
TAKE_ANYTHING = {"alias", "echo", "help"}
#: a word more, and they are another command: `vm config <field> [values...]`, `vm save <vm>`
BECOME_ANOTHER = {"save-config", "restore-config", "clone-config", "list-saves"}


def accepts(elements: Sequence[Element], words: Sequence[str]) -> bool:
    """Whether a pattern can be read from these words, each literal word or a prefix of it."""
    if not elements:
        return not words
    first, rest = elements[0], elements[1:]
    if isinstance(first, Maybe):
        return accepts([*first.elements, *rest], words) or accepts(rest, words)
    if isinstance(first, Nested):
        return any(accepts(pattern, words) for pattern in PATTERNS)
    if not words:
        return False
    fits = [first.text] if isinstance(first, Literal) else list(first.choices)
    if fits and not any(text.startswith(words[0]) for text in fits):
        return False
    if isinstance(first, Value) and first.many and accepts(elements, words[1:]):
        return True
    return accepts(rest, words[1:])


def spelled(element: Element) -> list[list[str]]:
    if isinstance(element, Literal):
        return [[element.text]]
    if isinstance(element, Nested):
        return [["vm", "info"]]
    if isinstance(element, Maybe):
        return [[], *sequences(element.elements)]
    return [[choice] for choice in element.choices] or [["1"]]


def sequences(elements: Sequence[Element]) -> list[list[str]]:
    return [list(chain.from_iterable(parts)) for parts in product(*map(spelled, elements))]


def damaged(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """A right line made wrong: words missing at its end, one more than it takes, one that is another."""
    yield from (("too few", words[:count]) for count in range(1, len(words)))
    yield "too many", [*words, WRONG]
    yield "too many", [*words, WRONG, WRONG]
    yield from (("wrong", [*words[:at], WRONG, *words[at + 1 :]]) for at in range(len(words)))


def wrong_lines(command: type[Request[Any]]) -> set[tuple[str, tuple[str, ...]]]:
    """Lines that are nearly this command and that nothing in the language accepts."""
    return {
        (how, tuple(words))
        for text in command.words
        for right in sequences(parse_pattern(text).elements)
        for how, words in damaged(right)
        if not any(accepts(pattern, words) for pattern in PATTERNS)
    }


async def refusal(words: Sequence[str]) -> tuple[int, str]:
    """The exit code and the message of a line; one line, and nothing was sent."""
    sent: list[Request[Any]] = []

    async def call(_: str, request: Request[Any]) -> Reply:
        sent.append(request)
        return Done()

    outcome = await Session(call, GRAMMAR).run_words(words)
    assert sent == [], words
    (message,) = outcome.errors
    assert message
    assert "\n" not in message
    assert outcome.text == ""
    return outcome.exit_code, message


@pytest.mark.parametrize("command", REAL, ids=[f"{command.noun}-{command.verb}" for command in REAL])
async def test_words_that_are_no_command_are_refused(command: type[Request[Any]]) -> None:
    """With words too few, too many or wrong a line is an error of one line, exit code 2, and nothing is sent."""
    lines = wrong_lines(command)
    ways = {how for how, _ in lines}
    assert "wrong" in ways
    takes_more = any(text.endswith(("...>", "...]", "(command)")) for text in command.words)
    assert "too many" in ways or takes_more or command.verb in TAKE_ANYTHING | BECOME_ANOTHER
    for _, words in sorted(lines):
        code, message = await refusal(words)
        assert (code, message.partition(":")[0]) in {(2, "invalid command"), (2, "ambiguous command")}, words


def opened(elements: Sequence[Element]) -> list[Element]:
    """The elements of a pattern with all its optional parts."""
    nested = [opened(e.elements) if isinstance(e, Maybe) else [e] for e in elements]
    return list(chain.from_iterable(nested))


def numbers(command: type[Request[Any]]) -> Iterator[list[str]]:
    """The lines of a command in which a number is none."""
    kinds = {field.name: str(field.type) for field in msgspec.structs.fields(command)}
    for text in command.words:
        elements = opened(parse_pattern(text).elements)
        right = [spelled(element)[0][0] for element in elements]
        for at, element in enumerate(elements):
            if isinstance(element, Value) and not element.choices and "int" in kinds[element.field]:
                yield [*right[:at], WRONG, *right[at + 1 :]]


NUMBERS = [words for command in REAL for words in numbers(command)]


@pytest.mark.parametrize("words", NUMBERS, ids=[" ".join(words) for words in NUMBERS])
async def test_words_that_are_no_numbers_are_refused(words: list[str]) -> None:
    """Where a number belongs, another word is an error of one line that shows it, and nothing is sent."""
    code, message = await refusal(words)
    assert code == 1
    assert WRONG in message
