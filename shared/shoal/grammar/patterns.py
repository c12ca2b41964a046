"""The patterns in which commands say how they are spelled: from text to a sequence of elements.

This module refuses to know lines, requests and the meaning of a field. The language is described in
`shoal.messages.base`; one element is added to it for the session's own commands: `(command)`, the words of
another command up to the end of the line, the value of the field `command`.
"""

from __future__ import annotations

import re

import msgspec

#: the field that holds the words of a nested command
NESTED = "command"

_TOKEN = re.compile(r"\(command\)|<[^<>\[\]]+>|\[|\]|[^\s<>\[\]()]+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Literal(msgspec.Struct, frozen=True):
    """A word that stands for itself. With `field` it is a flag: that field becomes true where the word stands."""

    text: str
    field: str = ""


class Value(msgspec.Struct, frozen=True):
    """A word that is the value of `field`: any, or one of `choices`. `many` takes one word or more."""

    field: str
    choices: tuple[str, ...] = ()
    many: bool = False


class Nested(msgspec.Struct, frozen=True):
    """Another command, to the end of the line."""


class Maybe(msgspec.Struct, frozen=True):
    """Elements that may be left out together."""

    elements: tuple[Element, ...]


Element = Literal | Value | Nested | Maybe


class Pattern(msgspec.Struct, frozen=True):
    """One spelling of a command: its text as written, and its elements."""

    text: str
    elements: tuple[Element, ...]

    @property
    def literals(self) -> tuple[str, ...]:
        """The words that the pattern begins with, up to its first value or option."""
        words: list[str] = []
        for element in self.elements:
            if not isinstance(element, Literal):
                break
            words.append(element.text)
        return tuple(words)

    @property
    def fixed(self) -> tuple[str, ...]:
        """The words before the first value that is open: literal ones, and choices of a single word."""
        words: list[str] = []
        for element in self.elements:
            if isinstance(element, Literal):
                words.append(element.text)
            elif isinstance(element, Value) and len(element.choices) == 1:
                words.append(element.choices[0])
            else:
                break
        return tuple(words)

    @property
    def syntax(self) -> str:
        """The pattern as people read it: `<a,b>` a choice, `[x]` optional, `<x>...` one word or more."""
        return " ".join(_syntax(element) for element in self.elements)


def _syntax(element: Element, *, optional: bool = False) -> str:
    opening, closing = "[]" if optional else "<>"
    if isinstance(element, Literal):
        return f"[{element.text}]" if optional else element.text
    if isinstance(element, Nested):
        return "[(command)]" if optional else "(command)"
    if isinstance(element, Maybe):
        if len(element.elements) == 1:
            return _syntax(element.elements[0], optional=True)
        return "[" + " ".join(_syntax(inner) for inner in element.elements) + "]"
    if element.choices:
        only = len(element.choices) == 1 and not optional
        return element.choices[0] if only else f"{opening}{','.join(element.choices)}{closing}"
    name = element.field.replace("_", "-")
    return f"{opening}{name}{closing}{'...' if element.many else ''}"


def parse_pattern(text: str) -> Pattern:
    """Read a pattern. Raises ValueError for one that is not well formed: a mistake in a command's class."""
    tokens = _TOKEN.findall(text)
    if _TOKEN.sub("", text).strip():
        raise ValueError(f"pattern `{text}`: stray characters")
    elements, rest = _sequence(tokens, text)
    if rest:
        raise ValueError(f"pattern `{text}`: `]` without `[`")
    if not elements:
        raise ValueError("an empty pattern")
    return Pattern(text, elements)


def _sequence(tokens: list[str], text: str) -> tuple[tuple[Element, ...], list[str]]:
    """Elements up to the end or an unmatched `]`, and the tokens from there on."""
    elements: list[Element] = []
    while tokens and tokens[0] != "]":
        piece, *tokens = tokens
        if piece == "[":
            inside, tokens = _sequence_or_name(tokens, text)
            if not tokens:
                raise ValueError(f"pattern `{text}`: `[` without `]`")
            tokens = tokens[1:]
            elements.append(Maybe(inside))
        elif piece == "(command)":
            elements.append(Nested())
        elif piece.startswith("<"):
            elements.append(_value(piece[1:-1], text))
        elif piece.endswith("?"):
            elements.append(Literal(piece[:-1], field=_field(piece[:-1], text)))
        else:
            elements.append(Literal(piece))
    return tuple(elements), tokens


def _sequence_or_name(tokens: list[str], text: str) -> tuple[tuple[Element, ...], list[str]]:
    """What stands in brackets: a single bare name is a field (`[name]`, `[name?]`), anything else elements."""
    if len(tokens) > 1 and tokens[1] == "]" and tokens[0] not in ("[", "(command)") and tokens[0][0] != "<":
        name = tokens[0]
        if name.endswith("?"):
            word = name[:-1]
            return (Literal(word, field=_field(word, text)),), tokens[1:]
        return (_value(name, text),), tokens[1:]
    return _sequence(tokens, text)


def _value(inside: str, text: str) -> Value:
    name, colon, choices = inside.partition(":")
    if colon:
        return Value(_field(name, text), choices=tuple(choice.strip() for choice in choices.split(",")))
    if name.endswith("..."):
        return Value(_field(name[:-3], text), many=True)
    return Value(_field(name, text))


def _field(word: str, text: str) -> str:
    name = word.replace("-", "_")
    if not _NAME.fullmatch(name):
        raise ValueError(f"pattern `{text}`: `{word}` is no field name")
    return name
