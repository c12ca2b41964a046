"""Help texts, made from the command classes: their patterns and docstrings.

This module refuses to know how a command is carried out.

A class's docstring is its help: a first sentence, perhaps more, perhaps a line `Example: …`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from textwrap import dedent
from typing import Any, NamedTuple

from shoal.grammar.matching import VALUE, reach
from shoal.grammar.patterns import Literal, Maybe, Nested, Pattern
from shoal.grammar.synonyms import meant, meant_commands
from shoal.messages.base import Request

Commands = Mapping[type[Request[Any]], Sequence[Pattern]]

_NEAREST = 5
_CLOSE = 0.5
_COLUMN = 30
_WIDTH = 110
_CLAUSE = 20
#: a line, the commands in it, what it does
_FIRST_STEPS = (
    ("vm launch kvm web[1-3]", (("vm", "launch"),), "create VMs, paused"),
    ("vm start all", (("vm", "start"),), "let them run"),
    ("vm info", (("vm", "info"),), "show them; `.columns name,state,host vm info` shows less"),
    (
        "vm kill all; vm flush",
        (("vm", "kill"), ("vm", "flush")),
        "end them; forget what has ended (two lines)",
    ),
    ("clear namespace red", (("clear", "namespace"),), "end and forget all that is in a namespace, and it"),
)


class Help(NamedTuple):
    """A docstring taken apart: its first sentence (one line), the rest of the text, the example's command."""

    summary: str
    text: str
    example: str


def help_of(command: type[Request[Any]]) -> Help:
    """The help of one command, from its docstring."""
    first, _, rest = (command.__doc__ or "").strip().partition("\n\n")
    body, _, example = dedent(rest).partition("Example:")
    first = " ".join(first.split())
    text = "\n\n".join(part for part in (body.strip(), command.more_help) if part)
    return Help(first, text, example.strip())


def title(patterns: Sequence[Pattern]) -> str:
    """What to call a command in a list: its only pattern, if it is short, else the words that all begin with."""
    if len(patterns) == 1 and len(patterns[0].syntax) < _COLUMN:
        return patterns[0].syntax
    return " ".join(_shared(patterns) or patterns[0].literals)


def _shared(patterns: Sequence[Pattern]) -> tuple[str, ...]:
    """The words that all of these patterns begin with."""
    shared = patterns[0].literals
    for pattern in patterns[1:]:
        same = [a == b for a, b in zip(shared, pattern.literals, strict=False)]
        shared = shared[: same.index(False) if False in same else len(same)]
    return shared


def topic(patterns: Sequence[Pattern]) -> str:
    """Where a command belongs in a list: its first word, for `clear …` the next one."""
    first, *rest = patterns[0].literals
    if first.startswith("."):
        return "."
    return rest[0] if first == "clear" and rest else first


def _first_steps(commands: Commands) -> tuple[str, ...]:
    """What somebody new needs first; nothing for a grammar that does not have it all."""
    there = {pattern.literals[:2] for patterns in commands.values() for pattern in patterns}
    steps = [(line, what) for line, names, what in _FIRST_STEPS if all(name in there for name in names)]
    if len(steps) < len(_FIRST_STEPS):
        return ()
    return ("\n".join(["to begin with:", *(f"  {line:<{_COLUMN - 2}} {what}" for line, what in steps)]),)


def overview(commands: Commands) -> str:
    """All commands, a line each, those of one topic together; before them, what somebody new needs first."""
    topics: dict[str, list[str]] = {}
    for command, patterns in commands.items():
        topics.setdefault(topic(patterns), []).append(_line(patterns, command))
    blocks: list[str] = []
    for lines in topics.values():
        # a block of its own only for topics with several commands
        if blocks and len(lines) == 1 and "\n" not in blocks[-1].rpartition("\n\n")[2]:
            blocks[-1] += "\n" + lines[0]
        else:
            blocks.append("\n".join(lines))
    return "\n\n".join(
        [*_first_steps(commands), *blocks, "`help <command>` tells more; `apropos <word>` searches."]
    )


def apropos(commands: Commands, word: str) -> str:
    """The commands that have `word` in a pattern or in their docstring, a line each; case does not matter."""
    wanted = word.casefold()
    return "\n".join(
        _line(patterns, command)
        for command, patterns in commands.items()
        if wanted in " ".join([command.__doc__ or "", *(pattern.syntax for pattern in patterns)]).casefold()
    )


def about(commands: Commands, words: Sequence[str]) -> str:
    """The help of the commands that begin with `words`: in full where they are all of one command's words."""
    found = {command: patterns for command, patterns in commands.items() if _begins(patterns, words)}
    asked = {command: patterns for command, patterns in found.items() if _names(patterns, words)}
    full = asked or (found if len(found) == 1 else {})
    spelled_so = sorted(full.items(), key=lambda item: not _literally(item[1][0], words))
    parts = [_full(command, patterns) for command, patterns in spelled_so]
    others = [_line(patterns, command) for command, patterns in found.items() if command not in full]
    if parts and others:
        others = ["See also:", *others]
    return "\n\n".join([*parts, *(["\n".join(others)] if others else [])])


def about_meant(commands: Commands, words: Sequence[str]) -> str:
    """The help of the commands that words of other programs mean, or those of VMs without their `vm`."""
    return "\n\n".join(about(commands, name) for name in meant_commands(words))


def of_line(commands: Commands, words: Sequence[str]) -> str:
    """The help of the command that `words` are, as far as they go, values and all; empty when they are none."""
    found = {
        command: patterns
        for command, patterns in commands.items()
        if any(_reads(pattern, words) for pattern in patterns)
    }
    return "\n\n".join(_full(command, patterns) for command, patterns in found.items())


def _reads(pattern: Pattern, words: Sequence[str]) -> bool:
    count, _, trace = reach(pattern, words)
    return count == len(words) and trace[0].rank != VALUE


def way_on(commands: Commands, words: Sequence[str]) -> tuple[str, ...]:
    """What to tell someone whose `words` are no command: the nearest ones, and what to ask `help` for.

    Where they are all of one command, its example too: it shows where quotes belong.
    """
    found = nearest([pattern for patterns in commands.values() for pattern in patterns], words)
    if not found:
        return ("`help` lists the commands",)
    near = {
        command: [pattern for pattern in patterns if pattern.syntax in found]
        for command, patterns in commands.items()
    }
    near = {command: patterns for command, patterns in near.items() if patterns}
    examples = [help_of(command).example for command in near]
    shown = [f"for example: {examples[0]}"] if len(examples) == 1 and examples[0] else []
    topic = " ".join(["help", *_shared([pattern for patterns in near.values() for pattern in patterns])])
    return ("the nearest commands:", *(f"  {syntax}" for syntax in found), *shown, f"`{topic}` tells more")


def nearest(patterns: Sequence[Pattern], words: Sequence[str]) -> tuple[str, ...]:
    """The patterns that words which are no command come nearest to, as text, best first."""
    if not words:
        return ()
    if found := meant(patterns, words):
        return tuple(dict.fromkeys(pattern.syntax for pattern in found))[:_NEAREST]
    scored: list[tuple[int, float, Pattern]] = []
    for pattern in patterns:
        count, following, trace = reach(pattern, words)
        if 0 < count < len(words) and Nested() in following:
            inner = nearest(patterns, words[count:])
            if inner:
                return inner
        if count and trace[0].rank != VALUE:
            wrong = words[count] if count < len(words) else ""
            scored.append((count, _likeness(wrong, following), pattern))
    if not scored:
        return _from_first_word(patterns, words)
    most = max(count for count, _, _ in scored)
    best = sorted((s for s in scored if s[0] == most), key=lambda s: -s[1])
    close = [s for s in best if s[1] >= _CLOSE] or best
    return tuple(dict.fromkeys(pattern.syntax for _, _, pattern in close))[:_NEAREST]


def _likeness(word: str, following: Sequence[object]) -> float:
    texts = [element.text for element in following if isinstance(element, Literal)]
    if not word or not texts:
        return 0.0
    return max(SequenceMatcher(None, word, text).ratio() for text in texts)


def _from_first_word(patterns: Sequence[Pattern], words: Sequence[str]) -> tuple[str, ...]:
    """Commands with a first word like this one, by the other words; else commands that have it as a later word."""
    word = words[0]
    firsts = {pattern.literals[0] for pattern in patterns if pattern.literals}
    close = get_close_matches(word, sorted(firsts), n=1, cutoff=0.6)
    if len(words) > 1 and close and close[0] != word:
        return nearest(patterns, [close[0], *words[1:]])
    texts = [pattern.syntax for pattern in patterns if close and pattern.literals[:1] == (close[0],)]
    texts += [pattern.syntax for pattern in patterns if word in pattern.literals[1:]]
    return tuple(dict.fromkeys(texts))[:_NEAREST]


def _line(patterns: Sequence[Pattern], command: type[Request[Any]]) -> str:
    name = title(patterns)
    if any(pattern.syntax != name for pattern in patterns) and len(name) + 4 <= _COLUMN:
        name += " ..."
    return _shortened(f"{name:<{_COLUMN}} ", help_of(command).summary)


def _shortened(before: str, text: str) -> str:
    """`before` and as much of `text` as fits on a line: up to the end of a clause, else of a word."""
    if len(before) + len(text) <= _WIDTH:
        return before + text
    fitting = text[: _WIDTH - len(before) - 1]
    ends = [fitting.rfind(mark) for mark in (": ", "; ", ", ", " (", " ")]
    end = next(end for end in (*(end for end in ends if end >= _CLAUSE), len(fitting)))
    return before + fitting[:end].rstrip(" ,;:(") + " …"


def _begins(patterns: Sequence[Pattern], words: Sequence[str]) -> bool:
    return any(_literally(pattern, words) for pattern in patterns)


def _literally(pattern: Pattern, words: Sequence[str]) -> bool:
    count, _, trace = reach(pattern, words)
    return count == len(words) and all(read.rank != VALUE for read in trace)


def _names(patterns: Sequence[Pattern], words: Sequence[str]) -> bool:
    """Whether a pattern has no literal words beyond these (before its first value)."""
    return any(_literally(pattern, words) and len(_leading(pattern)) <= len(words) for pattern in patterns)


def _leading(pattern: Pattern) -> tuple[object, ...]:
    return tuple(e for e in pattern.elements[: len(pattern.literals)] if not isinstance(e, Maybe))


def _full(command: type[Request[Any]], patterns: Sequence[Pattern]) -> str:
    told = help_of(command)
    parts = ["\n".join(f"  {pattern.syntax}" for pattern in patterns), told.summary, told.text]
    if told.example:
        parts.append(f"Example: {told.example}")
    return "\n\n".join(part for part in parts if part)
