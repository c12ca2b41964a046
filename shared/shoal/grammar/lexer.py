"""A line of the command language to its words, and words back to a line.

This module refuses to know what the words mean. The rules are minimega's: `#` outside quotes ends the line;
quotes of either kind and a backslash work in the middle of a word too. Ours: an escaped character that has no
meaning of its own stands for itself (minimega refuses it).
"""

from __future__ import annotations

from shoal.errors import UsageError

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_WRITTEN = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = frozenset("\"'\\#")


def split(line: str) -> list[str]:
    """The words of a line; none for a blank line or a comment.

    Raises UsageError for a quote without its end, or a backslash at the end of the line.
    """
    words: list[str] = []
    word: str | None = None
    quote = ""
    characters = iter(line)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped:
                raise UsageError("expected a character after the `\\` at the end of the line")
            word = (word or "") + _ESCAPES.get(escaped, escaped)
        elif quote:
            if character == quote:
                quote = ""
            else:
                word = (word or "") + character
        elif character in "\"'":
            quote = character
            word = word or ""
        elif character == "#":
            break
        elif character.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + character
    if quote:
        raise UsageError(f"missing terminal {quote}")
    if word is not None:
        words.append(word)
    return words


def join(words: list[str] | tuple[str, ...]) -> str:
    """A line that `split` takes apart into exactly these words; only words that need it are quoted."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if word and not any(character.isspace() or character in _SPECIAL for character in word):
        return word
    return '"' + "".join(_WRITTEN.get(character, character) for character in word) + '"'
