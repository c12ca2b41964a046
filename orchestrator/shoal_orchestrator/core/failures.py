"""Failures of many objects that say the same: told once.

Refuses to know what failed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec.structs import replace

from shoal.messages.base import Failure

#: taken names that an error lists for programs; its details have all of them, folded
MOST_NAMED = 1000


def alike_once(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Each text once, in the order of its first, with the names of all that it is about (a thousand at most)."""
    names: defaultdict[Failure, dict[str, None]] = defaultdict(dict)
    for failure in failures:
        names[replace(failure, names=())].update(dict.fromkeys(failure.names))
    return tuple(replace(failure, names=tuple(found)[:MOST_NAMED]) for failure, found in names.items())
