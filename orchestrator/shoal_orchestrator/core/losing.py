"""When hosts that are silent count as lost, and when so many are silent that the fault is more likely elsewhere.

This module refuses to know heartbeats and real time.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal_orchestrator.core.observed import LOST_AFTER_S, SUSPECT_AFTER_S

#: so many hosts may always be lost at once, and so large a part of all
FEW = 3
PART = 0.1


def mass_loss(silent_s: Mapping[str, float]) -> int:
    """How many hosts have fallen silent together, when they are too many to be believed; 0 when they are not.

    `silent_s` is for how many seconds each host has been silent, without those that are lost already. A switch that
    fails takes its hosts away within moments; single hosts fail at any time.
    """
    silent = sum(1 for seconds in silent_s.values() if seconds >= SUSPECT_AFTER_S)
    if silent <= max(FEW, PART * len(silent_s)):
        return 0
    return silent if any(seconds >= LOST_AFTER_S for seconds in silent_s.values()) else 0
