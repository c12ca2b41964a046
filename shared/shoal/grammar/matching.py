"""Words against one pattern: which ways are there to read them, and how exact is each.

This module refuses to know the other commands, and what the values mean.

A pattern is read word by word, as a set of states (what may still follow), so that optional parts and lists never
make it slow. Each word of a reading has a rank: a literal word or choice written out, the value of a field, or a
prefix of a literal word. Comparing readings is `shoal.grammar.language`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from shoal.grammar.patterns import NESTED, Element, Literal, Maybe, Nested, Pattern, Value

#: how exactly a word was read; a nested command gives way to everything else that its words may be
NESTED_WORD, PREFIX, VALUE, EXACT = -1, 0, 1, 2

Inner = TypeVar("Inner")


class Read(NamedTuple):
    """How one word was read: its rank, and the whole literal word that it stands for (empty for a value)."""

    rank: int
    literal: str = ""


class Reading(msgspec.Struct, Generic[Inner], frozen=True):
    """One way to read all words: each word's rank, the values of the fields, and the nested command's match."""

    words: tuple[Read, ...]
    values: dict[str, str | bool | tuple[str, ...]]
    inner: Inner | None = None


class _State(NamedTuple):
    """Where a reading stands: the elements that may follow, and the way that led here."""

    rest: tuple[Element, ...]
    parent: _State | None = None
    read: Read | None = None
    field: str = ""
    value: str | bool = ""
    many: bool = False
    #: prefixes that were taken for literal words: readings that differ here are different
    expanded: tuple[str, ...] = ()


def readings(
    pattern: Pattern, words: Sequence[str], nested: Callable[[Sequence[str]], Inner | None]
) -> Iterator[Reading[Inner]]:
    """Every way to read all of `words`, the ones that leave out fewest optional parts first.

    `nested` matches the words of a nested command, None if they are none.
    """
    states = [_State(pattern.elements)]
    for position, word in enumerate(words):
        following: dict[tuple[object, ...], _State] = {}
        for state in states:
            for opened in _opened(state):
                if isinstance(opened.rest[0], Nested):
                    inner = nested(words[position:])
                    if inner is not None:
                        yield _reading(opened, inner, words[position:])
                for after in _after(opened, word):
                    following.setdefault((after.rest, after.expanded), after)
        states = list(following.values())
        if not states:
            return
    for state in states:
        if _complete(state.rest):
            yield _reading(state, None, ())


def reach(pattern: Pattern, words: Sequence[str]) -> tuple[int, tuple[Element, ...], tuple[Read, ...]]:
    """How many of `words` the pattern can read, what it could read next, and how it read those words.

    Where a nested command begins, reading stops: the words from there on are that command's.
    """
    states = [_State(pattern.elements)]
    for position, word in enumerate(words):
        following = [after for state in states for opened in _opened(state) for after in _after(opened, word)]
        if not following:
            return position, _next_elements(states), _trace(states[0])
        states = _distinct(following)
    return len(words), _next_elements(states), _trace(states[0])


def _distinct(states: list[_State]) -> list[_State]:
    return list({(state.rest, state.expanded): state for state in reversed(states)}.values())[::-1]


def _next_elements(states: list[_State]) -> tuple[Element, ...]:
    return tuple(dict.fromkeys(opened.rest[0] for state in states for opened in _opened(state)))


def _opened(state: _State) -> Iterator[_State]:
    """The state with its leading optional parts taken or left out: what is left begins with a plain element."""
    if not state.rest:
        return
    first, *rest = state.rest
    if isinstance(first, Maybe):
        yield from _opened(state._replace(rest=first.elements + tuple(rest)))
        yield from _opened(state._replace(rest=tuple(rest)))
    else:
        yield state


def _complete(rest: tuple[Element, ...]) -> bool:
    return all(isinstance(element, Maybe) for element in rest)


def _after(state: _State, word: str) -> Iterator[_State]:
    """The states after the first element has read `word`."""
    first, rest = state.rest[0], state.rest[1:]
    if isinstance(first, Literal):
        read = _literal(first.text, word)
        if read is not None:
            yield _State(rest, state, read, first.field, value=True, expanded=_expanded(state, read))
    elif isinstance(first, Value) and first.choices:
        reads = [read for choice in first.choices if (read := _literal(choice, word)) is not None]
        exact = [read for read in reads if read.rank == EXACT]
        for read in exact or reads:
            yield _State(rest, state, read, first.field, read.literal, expanded=_expanded(state, read))
    elif isinstance(first, Value):
        if first.many:
            rest = (Maybe((first,)), *rest)
        yield _State(rest, state, Read(VALUE), first.field, word, first.many, expanded=state.expanded)


def _literal(text: str, word: str) -> Read | None:
    if not word or not text.startswith(word):
        return None
    return Read(EXACT if text == word else PREFIX, text)


def _expanded(state: _State, read: Read) -> tuple[str, ...]:
    return state.expanded if read.rank == EXACT else (*state.expanded, read.literal)


def _steps(state: _State) -> list[_State]:
    """The states from the first word to this one."""
    steps: list[_State] = []
    at: _State | None = state
    while at is not None and at.parent is not None:
        steps.append(at)
        at = at.parent
    return steps[::-1]


def _trace(state: _State) -> tuple[Read, ...]:
    return tuple(step.read for step in _steps(state) if step.read is not None)


def _reading(state: _State, inner: Inner | None, left: Sequence[str]) -> Reading[Inner]:
    values: dict[str, str | bool | tuple[str, ...]] = {}
    lists: dict[str, list[str]] = {}
    steps = _steps(state)
    for step in steps:
        if step.many:
            lists.setdefault(step.field, []).append(str(step.value))
        elif step.field:
            values[step.field] = step.value
    values.update({field: tuple(items) for field, items in lists.items()})
    if inner is not None:
        values[NESTED] = tuple(left)
    return Reading(tuple(step.read for step in steps if step.read is not None), values, inner)
