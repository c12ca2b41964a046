"""What processes have taken so far, by proc(5): CPU time and memory.

Refuses to know what they are. CPU time says what something costs on a machine that is shared with others, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """Seconds of CPU time since its start, in user and kernel mode, of all its threads."""
    # the second field is the program's name in brackets, which may hold anything
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def rss_mib(pid: int) -> float:
    """MiB of memory that are resident now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Spent:
    """CPU seconds of several processes since this was made."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = self._now()

    def _now(self) -> dict[str, float]:
        return {role: cpu_s(pid) for role, pid in self._pids.items()}

    def so_far(self) -> dict[str, float]:
        """By role."""
        return {role: now - self._before[role] for role, now in self._now().items()}
