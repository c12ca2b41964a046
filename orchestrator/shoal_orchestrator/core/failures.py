"""Failures of many objects: those that say the same are told once, and of very many as many as fit into an answer.

Refuses to know what failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from shoal.core.ranges import fold
from shoal.errors import Refused
from shoal.messages.base import Failure, Reply

R = TypeVar("R", bound=Reply)
#: taken names that an error lists for programs; its details have all of them, folded
MOST_NAMED = 1000
#: failures that a reply tells of; of more the last one stands for the rest
MOST_TOLD = 1000
#: characters of theirs: as much as programs on hosts may print, and half of what an answer may have
MOST_CHARACTERS = 512 * 1024
#: characters of the rest's names, folded
MOST_FOLDED = 2000
#: what the words for a failure's fields take
_FIELDS = 64


def alike_once(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Each text once, in the order of its first, with the names of all that it is about (a thousand at most)."""
    names: defaultdict[Failure, dict[str, None]] = defaultdict(dict)
    for failure in failures:
        names[replace(failure, names=())].update(dict.fromkeys(failure.names))
    return tuple(replace(failure, names=tuple(found)[:MOST_NAMED]) for failure, found in names.items())


def told_in_short(reply: R) -> R:
    """The reply with as many of its failures as fit into an answer."""
    few = in_short(reply.failures)
    return reply if len(few) == len(reply.failures) else replace(reply, failures=few)


def in_short(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """The first failures, at least one and a thousand at most; the last says of how many more, and of what, if any.

    Done once more it changes nothing.
    """
    weight = 0
    for at, failure in enumerate(failures):
        weight += _weight(failure)
        full = at == MOST_TOLD - 1 and len(failures) > MOST_TOLD
        if full or (at and weight > MOST_CHARACTERS and at < len(failures) - 1):
            return (*failures[:at], _rest(failures[at:]))
    return tuple(failures)


def _weight(failure: Failure) -> int:
    return _FIELDS + len(failure.message) + sum(map(len, failure.details)) + sum(map(len, failure.names))


def _rest(failures: Sequence[Failure]) -> Failure:
    """One failure for many. Its message is the last one in the order of texts, too, in which a prompt shows them."""
    names = tuple(dict.fromkeys(name for failure in failures for name in failure.names))
    folded = fold(names)
    if len(folded) > MOST_FOLDED:
        kept = folded[:MOST_FOLDED]
        folded = f"{kept.rpartition(',')[0] or kept}, …"
    kinds = {(failure.kind, failure.code) for failure in failures}
    kind, code = kinds.pop() if len(kinds) == 1 else (Refused.kind, Refused.code)
    message = f"… and {len(failures)} more" + (f": {folded}" if folded else "")
    return Failure(kind=kind, code=code, message=message, names=names[:MOST_NAMED])
