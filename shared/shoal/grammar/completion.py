"""What a word that is being typed may become.

This module refuses to know where a field's known values come from, and what a terminal is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from shoal.grammar.matching import EXACT, Read, reach
from shoal.grammar.patterns import Element, Literal, Nested, Pattern, Value

Values = Callable[[str], Iterable[str]]


def complete(
    patterns: Sequence[Pattern], words_before: Sequence[str], partial: str, values: Values
) -> list[str]:
    """The words, sorted, that begin with `partial` and can follow `words_before` in any of the patterns."""
    found: set[str] = set()
    reached: list[tuple[tuple[Element, ...], tuple[Read, ...]]] = []
    inside: set[int] = set()
    for pattern in patterns:
        count, following, trace = reach(pattern, words_before)
        if count == len(words_before):
            reached.append((following, trace))
        if Nested() in following:
            inside.add(count)
    for following in _most_exact(reached):
        for element in following:
            found.update(_candidates(element, values))
    for count in inside:
        rest = words_before[count:]
        if len(rest) < len(words_before):
            found.update(complete(patterns, rest, partial, values))
    return sorted(word for word in found if word.startswith(partial))


def _most_exact(reached: list[tuple[tuple[Element, ...], tuple[Read, ...]]]) -> list[tuple[Element, ...]]:
    """Only the patterns that read a word exactly, wherever any does: `ns` is not a prefix of `nslookup`."""
    left = reached
    for position in range(max((len(trace) for _, trace in reached), default=0)):
        exact = [entry for entry in left if position < len(entry[1]) and entry[1][position].rank == EXACT]
        left = exact or left
    return [following for following, _ in left]


def _candidates(element: Element, values: Values) -> Iterable[str]:
    if isinstance(element, Literal):
        return (element.text,)
    if isinstance(element, Value):
        return element.choices or values(element.field)
    return ()
