"""When hosts that are silent count as lost, and when so many are silent that the fault is more likely elsewhere.

This module refuses to know heartbeats and real time.
"""

from __future__ import annotations

from collections.abc import Collection

from shoal_orchestrator.core.observed import LOST_AFTER_S, SUSPECT_AFTER_S

#: so many hosts may always be lost at once, and so large a part of all
FEW = 3
PART = 0.1


def mass_loss(silent_s: Collection[float], hosts: int) -> int:
    """How many hosts have fallen silent together, when they are too many to be believed; 0 when they are not.

    `silent_s` is for how many seconds each host has been silent (those heard just now may be left out), `hosts` how
    many there are; what is lost already counts in neither. A switch that fails takes its hosts away within moments;
    single hosts fail at any time.
    """
    silent = sum(1 for seconds in silent_s if seconds >= SUSPECT_AFTER_S)
    if silent <= max(FEW, PART * hosts):
        return 0
    return silent if any(seconds >= LOST_AFTER_S for seconds in silent_s) else 0
