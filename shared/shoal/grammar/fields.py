"""Words to the typed fields of a request.

This module refuses to know how the words were found, and whether the cluster likes the values.

A field of type int or bool (or an optional one) takes its value from one word. A class may say in the field's
type what to answer when the word does not fit, where LANGUAGE.md fixes the text:
`Annotated[int, msgspec.Meta(extra={"error": "expected integer VLAN"})]`; `{word}` in it stands for the word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from shoal.errors import InvalidRequest
from shoal.messages.base import Request

_INTEGER = re.compile(r"[+-]?[0-9]+")
#: what any integer of ours fits in; longer words are refused before they are converted
_LONGEST_INTEGER = 20
_BOOLEANS = {"true": True, "false": False}

R = TypeVar("R", bound=Request[Any])
Word = str | bool | tuple[str, ...]


def kinds_of(command: type[Request[Any]]) -> dict[str, Any]:
    """The types of a command's fields. Takes about a millisecond: keep the answer."""
    return {field.name: field.type for field in msgspec.structs.fields(command)}


def build(command: type[R], values: Mapping[str, Word], kinds: Mapping[str, Any]) -> R:
    """Make the request from the values of its fields, of types `kinds`.

    Raises InvalidRequest for a word that does not fit.
    """
    typed = {name: _typed(name, value, kinds[name]) for name, value in values.items()}
    try:
        made: R = msgspec.convert(typed, command)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{command.noun} {command.verb}: {error}") from None
    return made


def _typed(name: str, value: Word, kind: Any) -> Any:
    if not isinstance(value, str):
        return value
    plain, said = _plain(kind)
    said = said.replace("{word}", value)
    if plain is int and not (_INTEGER.fullmatch(value) and len(value) <= _LONGEST_INTEGER):
        raise InvalidRequest(said or f"invalid {_shown(name)}: expected an integer, not `{value}`")
    if plain is int:
        return int(value)
    if plain is bool and value not in _BOOLEANS:
        raise InvalidRequest(said or f"invalid {_shown(name)}: expected true or false, not `{value}`")
    return _BOOLEANS[value] if plain is bool else value


def _plain(kind: Any, said: str = "") -> tuple[Any, str]:
    """The type without `None` and annotations, and the error text that an annotation gives."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *notes = get_args(kind)
        for note in notes:
            if isinstance(note, msgspec.Meta) and note.extra:
                said = str(note.extra.get("error", said))
        return _plain(inner, said)
    if origin in (Union, UnionType):
        members = [member for member in get_args(kind) if member is not NoneType]
        if len(members) == 1:
            return _plain(members[0], said)
    return kind, said


def _shown(name: str) -> str:
    return name.replace("_", "-")
