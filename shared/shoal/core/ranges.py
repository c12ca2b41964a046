"""Ranges of names: `vm[0-3,7]` to its names, and names back to the shortest text.

This module refuses to know what the names are for and whether they are valid ones.

`expand` and `fold` are inverse: `expand(fold(names))` are the same names, each once, in natural order, and
`fold(expand(text))` is the canonical form of a text. A dash outside brackets belongs to the name (`vm-0`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from operator import le, lt
from typing import TYPE_CHECKING

from shoal.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: how many names one text may stand for, unless the caller says otherwise
DEFAULT_LIMIT = 100_000

#: longer runs of digits are text: they count nothing, and int() of a very long one is slow or refused
_DIGITS = re.compile(r"([0-9]+)")
_COUNTABLE = 18
_BRACKET = re.compile(r"[\[\]]")
_ITEM = re.compile(r"([^\[\],]*)(?:\[([^\[\]]*)\]([^\[\],]*))?")
_NUMBER = re.compile(rf"[0-9]{{1,{_COUNTABLE}}}")

NaturalKey = tuple[tuple[str | int, ...], str]


def natural_key(name: str) -> NaturalKey:
    """Return a key that sorts names as people count: vm2 before vm10. Equal only for equal names."""
    # texts at even places, numbers at odd ones, so that like is compared with like
    parts: list[str | int] = list(_DIGITS.split(name))
    parts[1::2] = map(int, parts[1::2])
    # and the name itself, since vm01 and vm1 are different
    return tuple(parts), name


def natural_order(names: Iterable[str]) -> list[str]:
    """Return the names sorted as people count."""
    listed = list(names)
    if _is_counted(listed):
        return listed
    return _count_numbers(listed) or sorted(listed, key=natural_key)


def _is_counted(names: Sequence[str]) -> bool:
    """Tell whether names that are alike but for a number at their end, without leading zeros, ascend already.

    As most lists of hosts do. No number is read: of equally long ones the order is that of the texts.
    """
    if not names:
        return True
    prefix = names[0].rstrip("0123456789")
    ends = "".join([name.removeprefix(prefix) for name in names])
    if not (ends.isascii() and ends.isdigit()) or len("".join(names)) != len(ends) + len(prefix) * len(names):
        return False
    lengths = list(map(len, names))
    if not all(map(le, lengths, lengths[1:])) or lengths[0] == len(prefix):
        return False
    start = 0
    while start < len(names):
        stop = bisect_right(lengths, lengths[start], start)
        alike = names[start:stop]
        if alike[0][len(prefix)] == "0" and lengths[start] > len(prefix) + 1:
            return False
        if not all(map(lt, alike, alike[1:])):
            return False
        start = stop
    return True


def _count_numbers(names: Sequence[str]) -> list[str]:
    """Sort names that are alike but for a number at their end, as most hosts' are: in a third of the time.

    Nothing for any others: keys are needed.
    """
    if len(names) < 2:
        return []
    lowest, highest = min(names), max(names)
    alike = next((at for at, (a, b) in enumerate(zip(lowest, highest, strict=False)) if a != b), len(lowest))
    prefix = lowest[:alike].rstrip("0123456789")
    ends = [name.removeprefix(prefix) for name in names]
    written = "".join(ends)
    if not (written.isascii() and written.isdigit()) or not 0 < max(map(len, ends)) <= _COUNTABLE:
        return []
    # a name that ends where the others' numbers begin
    if "" in ends:
        return []
    numbers = list(map(int, ends))
    if all(map(lt, numbers, numbers[1:])):
        return list(names)
    by_number = dict(zip(numbers, names, strict=True))
    # `a01` beside `a1`
    return [by_number[number] for number in sorted(by_number)] if len(by_number) == len(names) else []


def expand(text: str, *, limit: int = DEFAULT_LIMIT) -> list[str]:
    """Return the names that `text` stands for, in its order, repetitions included; no text is no names.

    `text` is a comma-separated list of names and of `prefix[1-3,7]suffix`. Leading zeros are kept when everything
    in the brackets has one width. Raises InvalidRequest for a malformed text and for more than `limit` names.
    """
    if not text:
        return []
    if "," not in text and "[" not in text and "]" not in text and limit > 0:
        # one name: most entries of a long queue
        return [text]
    _check_brackets(text)
    names: list[str] = []
    position = 0
    while position <= len(text):
        item = _ITEM.match(text, position)
        # the brackets are paired, so only a second pair of an item can end the match early
        if item is None or item.end() == position or text[item.end() : item.end() + 1] not in ("", ","):
            raise InvalidRequest("invalid range specification")
        prefix, inside, suffix = item.groups()
        if inside is None:
            names.append(prefix)
        else:
            names += _expand_item(prefix, inside, suffix, limit - len(names))
        if len(names) > limit:
            raise _too_many(limit)
        position = item.end() + 1
    return names


def fold(names: Iterable[str]) -> str:
    """Return the shortest text that `expand` reads back: each name once, in natural order. No names: no text.

    Names are folded at their last number; those that find no company there at the one before it, and so on.
    """
    folded: list[tuple[NaturalKey, str]] = []
    alone = list(dict.fromkeys(names))
    number = 1
    while alone:
        plain, groups = _group(alone, number)
        folded += [(natural_key(name), name) for name in plain]
        alone = []
        for (prefix, suffix), members in groups.items():
            if len(members) == 1:
                alone.append(f"{prefix}{members[0]}{suffix}")
                continue
            for first, inside in _fold_digits(members):
                body = f"[{inside}]" if inside != first else first
                folded.append((natural_key(f"{prefix}{first}{suffix}"), f"{prefix}{body}{suffix}"))
        number += 1
    folded.sort()
    return ",".join([text for _, text in folded])


def _check_brackets(text: str) -> None:
    opened = False
    for bracket in _BRACKET.finditer(text):
        if bracket[0] == "[":
            if opened:
                raise InvalidRequest(f"nested '[' at char {bracket.start()}")
            opened = True
        elif not opened:
            raise InvalidRequest(f"unmatched ']' at char {bracket.start()}")
        else:
            opened = False
    if opened:
        raise InvalidRequest("unterminated '['")


def _expand_item(prefix: str, inside: str, suffix: str, room: int) -> list[str]:
    spans = [_parse_span(span) for span in inside.split(",")]
    total = sum(int(last) - int(first) + 1 for first, last in spans)
    if total > room:
        # before anything is built: the text `a[1-999999999999]` is short
        raise _too_many(room, prefix)
    widths = {len(end) for span in spans for end in span}
    padded = len(widths) == 1 and any(end[0] == "0" for span in spans for end in span)
    names: list[str] = []
    for first, last in spans:
        numbers = map(str, range(int(first), int(last) + 1))
        if padded:
            width = len(first)
            names += [f"{prefix}{number.zfill(width)}{suffix}" for number in numbers]
        else:
            names += [f"{prefix}{number}{suffix}" for number in numbers]
    return names


def _parse_span(text: str) -> tuple[str, str]:
    first, dash, last = text.partition("-")
    if "-" in last:
        raise InvalidRequest(f"invalid subrange {text}")
    if not dash:
        last = first
    if not _NUMBER.fullmatch(first) or not _NUMBER.fullmatch(last):
        raise InvalidRequest("invalid range specification")
    if int(first) > int(last):
        raise InvalidRequest(f"invalid subrange {text}: {first} comes after {last}")
    return first, last


def _too_many(limit: int, prefix: str = "") -> InvalidRequest:
    where = f" left for `{prefix}[…]`" if prefix else ""
    return InvalidRequest(f"range stands for too many names: at most {limit}{where}; use several commands")


def _group(names: Sequence[str], number: int) -> tuple[list[str], dict[tuple[str, str], list[str]]]:
    """Group names by what surrounds their number-th number from the end; and those that have fewer."""
    plain: list[str] = []
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    rest = names
    if number == 1:
        # nearly all names end in a number: string methods do 100,000 of them in the time of 20,000 matches
        ends: defaultdict[str, list[str]] = defaultdict(list)
        rest = []
        for name in names:
            prefix = name.rstrip("0123456789")
            if 0 < len(name) - len(prefix) <= _COUNTABLE:
                ends[prefix].append(name[len(prefix) :])
            else:
                rest.append(name)
        groups.update(((prefix, ""), members) for prefix, members in ends.items())
    for name in rest:
        runs = [run.span() for run in _DIGITS.finditer(name) if run.end() - run.start() <= _COUNTABLE]
        if len(runs) < number:
            plain.append(name)
        else:
            start, end = runs[-number]
            groups[name[:start], name[end:]].append(name[start:end])
    return plain, groups


def _fold_digits(members: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Fold numbers as written into brackets: (the first number, what stands inside).

    A width in which a number has leading zeros gets brackets of its own, where everything has that width.
    """
    widths = {len(digits) for digits in members if digits[0] == "0" and len(digits) > 1}
    if not widths:
        yield _fold_numbers(sorted(map(int, members)), 0)
        return
    natural = sorted(int(digits) for digits in members if len(digits) not in widths)
    if natural:
        yield _fold_numbers(natural, 0)
    for width in sorted(widths):
        yield _fold_numbers(sorted(int(digits) for digits in members if len(digits) == width), width)


def _fold_numbers(numbers: Sequence[int], width: int) -> tuple[str, str]:
    runs: list[str] = []
    start = previous = numbers[0]
    for number in [*numbers[1:], -1]:
        if number == previous + 1:
            previous = number
            continue
        last = "" if start == previous else f"-{previous:0{width}}"
        runs.append(f"{start:0{width}}{last}")
        start = previous = number
    return f"{numbers[0]:0{width}}", ",".join(runs)
