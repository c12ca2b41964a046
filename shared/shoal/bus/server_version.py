"""Which versions of nats-server Shoal can use.

This module refuses to know connections.
"""

from __future__ import annotations

import re

OLDEST = (2, 14)
NEEDED = ".".join(map(str, OLDEST))


def is_too_old(said: str) -> bool:
    """Whether a server that says this of its version lacks what Shoal needs (atomic batches, ADR-50)."""
    numbers = re.findall(r"\d+", said)[:2]
    return tuple(int(number) for number in numbers) < OLDEST
