"""What machine this is, in the words of a line below a table. Refuses to know what is measured on it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from shoal.testing import find_nats_server


def facts() -> str:
    """Processor, memory, kernel, and the versions of what runs."""
    return ", ".join(
        [
            f"{len(os.sched_getaffinity(0))} cores of {_processor()}",
            f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB of memory",
            f"{platform.system()} {platform.release()}",
            f"Python {platform.python_version()}",
            _nats_server(),
        ]
    )


def load() -> str:
    """How much else is going on: load averages of one and five minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} (1 min), {five:.1f} (5 min)"


def _processor() -> str:
    for each in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = each.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.machine()


def _nats_server() -> str:
    said = subprocess.run([find_nats_server(), "--version"], capture_output=True, check=True, text=True)
    return said.stdout.strip().replace(": v", " ")
