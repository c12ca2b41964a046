"""The command language: words to typed requests, and what to say when words are no command.

This module refuses to know sessions, replies and the bus. It is built from the command classes alone.

Words and choices may be shortened to an unambiguous prefix, and an exact match wins: readings of the whole line
are compared word by word from the left, a literal word written out before a value, a value before a prefix.
Where the best reading of a word is a prefix of two different words the line is ambiguous (minimega's rule).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from shoal.errors import InvalidRequest, UsageError
from shoal.grammar import completion, explain
from shoal.grammar.fields import Word, build, kinds_of
from shoal.grammar.lexer import join, split
from shoal.grammar.matching import EXACT, NESTED_WORD, PREFIX, Read, Reading, readings
from shoal.grammar.patterns import Literal, Pattern, parse_pattern
from shoal.messages.base import Request

#: how deep commands may stand in commands (`namespace a .columns b namespace c …`)
MAX_NESTING = 16

Command = type[Request[Any]]
R = TypeVar("R", bound=Request[Any])


class Spelling(NamedTuple):
    """One pattern of one command."""

    command: Command
    pattern: Pattern


class Match(NamedTuple):
    """What a line means: the command, the pattern that it fits, its values, and the command nested in it."""

    spelling: Spelling
    reading: Reading[Match]

    @property
    def command(self) -> Command:
        """The class of the command."""
        return self.spelling.command

    @property
    def inner(self) -> Match | None:
        """The nested command, where there is one."""
        return self.reading.inner


class Grammar:
    """The language made of `commands`; `fallback` ones are looked at only where none of `commands` fits."""

    def __init__(self, commands: Iterable[Command], fallback: Iterable[Command] = ()) -> None:
        self.spellings = _spellings(commands)
        self._fallback = _spellings(fallback)
        self._kinds: dict[Command, dict[str, Any]] = {}

    def parse(self, words: Sequence[str]) -> Request[Any]:
        """The request that these words mean.

        Raises UsageError when they are no command or could be several, and InvalidRequest when a value does not
        fit its field.
        """
        return self.request(self.match(words))

    def request(self, match: Match) -> Request[Any]:
        """Make the request that was matched. Raises InvalidRequest for a value that does not fit its field."""
        return self._build(match.command, match.reading.values)

    def _build(self, command: type[R], values: Mapping[str, Word]) -> R:
        kinds = self._kinds.get(command)
        if kinds is None:
            kinds = self._kinds[command] = kinds_of(command)
        return build(command, values, kinds)

    def match(self, words: Sequence[str], *, line: str = "") -> Match:
        """How to read these words; `line` is what the user typed, for the error. Raises UsageError."""
        found = self._match(words, 0)
        if found is None:
            raise UsageError(
                f"invalid command: `{line.strip() or join(tuple(words))}`", details=self._way_on(words)
            )
        return found

    def _match(self, words: Sequence[str], depth: int) -> Match | None:
        if depth > MAX_NESTING:
            raise UsageError(f"commands stand in commands more than {MAX_NESTING} deep")
        if not words:
            return None

        def nested(rest: Sequence[str]) -> Match | None:
            return self._match(rest, depth + 1)

        for spellings in (self.spellings, self._fallback):
            found = _best(_matches(spellings, words, nested))
            if found is not None:
                return found
        return None

    def parse_bare(self, command: type[R], text: str) -> R:
        """The request of a class from a bare argument: the words that would follow noun and verb at a prompt.

        For `vm start` that is `web[1-3]`; for `vm launch` both `kvm web[1-3]` and `web[1-3]`: words that the
        pattern has before its first open value may be left out.
        Raises UsageError for broken quotes, and InvalidRequest when the words do not fit, or the command has none.
        """
        words = split(text)
        if not command.words:
            raise InvalidRequest(f"{command.noun} {command.verb}: expected a map of its fields")
        matches: list[Match] = []
        patterns = [parse_pattern(pattern) for pattern in command.words]
        for pattern in patterns:
            fixed = pattern.fixed
            named = [i for i, word in enumerate(fixed) if word in (command.noun, command.verb)]
            for start in range(named[-1] + 1 if named else len(fixed), len(fixed) + 1):
                rest = Pattern(pattern.text, pattern.elements[start:])
                found: list[Reading[Match]] = list(readings(rest, words, lambda words: self._match(words, 1)))
                matches += [Match(Spelling(command, pattern), reading) for reading in found]
        best = _best(matches)
        if best is None:
            wrong = f"cannot read the argument `{text.strip()}`" if words else "an argument is missing"
            raise InvalidRequest(
                f"{command.noun} {command.verb}: {wrong}",
                details=("expected what follows in:", *(f"  {pattern.syntax}" for pattern in patterns)),
            )
        return self._build(command, best.reading.values)

    def nearest(self, words: Sequence[str]) -> tuple[str, ...]:
        """The commands (as patterns) that words which are no command may have meant, best first; at most five."""
        return explain.nearest([spelling.pattern for spelling in self.spellings], words)

    def _way_on(self, words: Sequence[str]) -> tuple[str, ...]:
        return explain.way_on(self._by_command(self.spellings), words)

    def complete(
        self, words_before: Sequence[str], partial: str, values: Callable[[str], Iterable[str]]
    ) -> list[str]:
        """What the word `partial` may become after `words_before`; `values` gives a field's known values."""
        patterns = [spelling.pattern for spelling in self.spellings]
        return completion.complete(patterns, words_before, partial, values)

    def help(self, words: Sequence[str]) -> str:
        """All that is known of the commands that begin with `words`; an overview without words.

        A line with values, as it would be typed, is its command. Raises UsageError when there is no such command.
        """
        if not words:
            return explain.overview(self._by_command(self.spellings))
        for find in (explain.about, explain.of_line):
            for spellings in (self.spellings, self._fallback):
                text = find(self._by_command(spellings), words)
                if text:
                    return text
        known = self._by_command(self.spellings)
        if text := explain.about_meant(known, words):
            return text
        raise UsageError(
            f"no help entry for `{join(tuple(words))}`; `help` lists the commands",
            details=self._way_on(words)[:-1],
        )

    def apropos(self, word: str) -> str:
        """The commands whose spelling or help has `word` in it, a line each."""
        return explain.apropos(self._by_command(self.spellings), word)

    @staticmethod
    def _by_command(spellings: Iterable[Spelling]) -> dict[Command, list[Pattern]]:
        patterns: dict[Command, list[Pattern]] = {}
        for spelling in spellings:
            patterns.setdefault(spelling.command, []).append(spelling.pattern)
        return patterns


def _spellings(commands: Iterable[Command]) -> tuple[Spelling, ...]:
    return tuple(Spelling(command, parse_pattern(text)) for command in commands for text in command.words)


def _matches(
    spellings: Iterable[Spelling], words: Sequence[str], nested: Callable[[Sequence[str]], Match | None]
) -> list[Match]:
    matches: list[Match] = []
    first = words[0]
    for spelling in spellings:
        opening = spelling.pattern.elements[0]
        if isinstance(opening, Literal) and not opening.text.startswith(first):
            continue
        matches += [Match(spelling, reading) for reading in readings(spelling.pattern, words, nested)]
    return matches


def _best(matches: list[Match]) -> Match | None:
    """The match that reads the words most exactly; None if there is none. Raises UsageError when two compete."""
    left = matches
    position = 0
    while len(left) > 1 and any(position < len(match.reading.words) for match in left):
        reads = [_read_at(match, position) for match in left]
        top = max(read.rank for read in reads)
        literals = {read.literal: None for read in reads if read.rank == top}
        if top == PREFIX and len(literals) > 1:
            raise _ambiguous(left, position, tuple(literals))
        left = [match for match, read in zip(left, reads, strict=True) if read.rank == top]
        position += 1
    return left[0] if left else None


def _read_at(match: Match, position: int) -> Read:
    words = match.reading.words
    return words[position] if position < len(words) else Read(NESTED_WORD)


def _ambiguous(matches: list[Match], position: int, literals: tuple[str, ...]) -> UsageError:
    before = [read.literal for read in matches[0].reading.words[:position] if read.rank in (EXACT, PREFIX)]
    could_be = " or ".join(f"`{' '.join([*before, literal])}`" for literal in sorted(literals))
    return UsageError(f"ambiguous command: it could be {could_be}")
