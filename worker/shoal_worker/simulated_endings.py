"""How simulated guests end by themselves, for programs that are tried on a simulated cluster.

A guest's kernel arguments (`vm config append`) say it: `simulate.exit_after=5` powers itself off after five seconds of
running, `simulate.fail_after=0.5` dies, as a QEMU does that is killed. A real kernel passes such arguments over. This
module refuses to know guests and time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_EXIT = "simulate.exit_after"
_FAIL = "simulate.fail_after"


class Ending(NamedTuple):
    """A guest ends after running for so many seconds; without a `reason` it powers itself off."""

    after_s: float
    reason: str = ""


def ending_of(append: Sequence[str]) -> Ending | None:
    """What the kernel arguments say of a guest's end; the last one counts, and what is no number of seconds does not."""
    found: Ending | None = None
    for word in " ".join(append).split():
        name, _, value = word.partition("=")
        if name not in (_EXIT, _FAIL):
            continue
        try:
            after_s = float(value)
        except ValueError:
            continue
        if math.isfinite(after_s) and after_s >= 0:
            found = Ending(
                after_s, f"the guest failed after {after_s:g} s, as {name} says" if name == _FAIL else ""
            )
    return found
