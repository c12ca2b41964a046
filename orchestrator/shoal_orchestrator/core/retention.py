"""How long and how much the event stream keeps, as an operator writes it: `7d`, `12h`, `500MiB`, `2GiB`.

This module refuses to know streams.
"""

from __future__ import annotations

import re

from shoal.errors import InvalidRequest

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_BYTES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
#: as long as the server tells copies of an event apart: it keeps no stream's messages for less
SHORTEST_AGE_S = 120
SMALLEST_BYTES = 1 << 20


def age_s(text: str) -> float:
    """An age in seconds. InvalidRequest for what is none, or is shorter than two minutes."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if found is None:
        raise InvalidRequest(f"cannot read the age `{text}`: expected a number and s, m, h or d, such as 7d")
    age = int(found[1]) * _SECONDS[found[2]]
    if age < SHORTEST_AGE_S:
        raise InvalidRequest(f"cannot keep events for `{text}` only: the shortest is {SHORTEST_AGE_S}s")
    return float(age)


def size_bytes(text: str) -> int:
    """A size in bytes. InvalidRequest for what is none, or is under 1 MiB."""
    found = re.fullmatch(r"([0-9]{1,9})([KMGT]iB)", text)
    if found is None:
        raise InvalidRequest(
            f"cannot read the size `{text}`: expected a number and KiB, MiB, GiB or TiB, such as 1GiB"
        )
    size = int(found[1]) * _BYTES[found[2]]
    if size < SMALLEST_BYTES:
        raise InvalidRequest(f"cannot keep `{text}` of events only: the smallest is 1MiB")
    return size
