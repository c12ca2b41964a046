"""How simulated guests end by themselves, for programs that are tried on a simulated cluster.

A guest's kernel arguments (`vm config append`) say it: `simulate.exit_after=5` powers itself off after five seconds of
running, `simulate.fail_after=0.5` dies, as a QEMU does that is killed. A real kernel passes such arguments over. This
module refuses to know guests and time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_OURS = "simulate."
_EXIT = "simulate.exit_after"
_FAIL = "simulate.fail_after"


class Ending(NamedTuple):
    """A guest ends after running for so many seconds; without a `reason` it powers itself off."""

    after_s: float
    reason: str = ""


def ending_of(append: Sequence[str]) -> Ending | None:
    """What the kernel arguments say of a guest's end; the last one counts.

    Raises ValueError for one that begins with `simulate.` and says nothing: a guest that never ends would be waited
    for in vain.
    """
    found: Ending | None = None
    for word in " ".join(append).split():
        if not word.startswith(_OURS):
            continue
        name, _, value = word.partition("=")
        if name not in (_EXIT, _FAIL):
            raise ValueError(f"the kernel argument `{word}` is unknown: there are `{_EXIT}=` and `{_FAIL}=`")
        after_s = _seconds(value)
        if after_s is None:
            raise ValueError(f"the kernel argument `{word}` is wrong: expected seconds, as in `{name}=2`")
        reason = f"the guest failed after {after_s:g} s, as {name} says" if name == _FAIL else ""
        found = Ending(after_s, reason)
    return found


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
