"""Who reads the wall clock: a list that is short, with reasons. A clock that is moved decides nothing anywhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared/shoal", "orchestrator/shoal_orchestrator", "worker/shoal_worker")

#: what tells the wall clock, or what was noted by it. `now_text` is our own, see `clock.py`.
READS = frozenset(
    (
        *(
            "time.time",
            "time.time_ns",
            "time.localtime",
            "time.gmtime",
            "time.ctime",
            "time.asctime",
            "time.strftime",
        ),
        *(
            "time.CLOCK_REALTIME",
            "time.CLOCK_TAI",
            "datetime.now",
            "datetime.utcnow",
            "datetime.today",
            "date.today",
        ),
        *("uuid.uuid1", "os.utime", "structlog.processors.TimeStamper"),
    )
)
#: whatever they are read from
ATTRIBUTES = frozenset(("st_mtime", "st_mtime_ns", "st_ctime", "st_ctime_ns", "st_atime", "st_atime_ns"))

ALLOWED = {
    "orchestrator/shoal_orchestrator/clock.py": "the moment that events and records show to people",
    "orchestrator/shoal_orchestrator/log.py": "the log's timestamps",
    "worker/shoal_worker/logs.py": "the log's timestamps",
    "shared/shoal/bus/blobs.py": "the description of a stored object has a time of change (NATS ADR-20), which we never read",
    "shared/shoal/cli/top.py": "the clock in the screen's corner",
    "worker/shoal_worker/file_cache.py": "which cached file was used longest ago: a wrong order costs one more copy",
}


def reads(source: str) -> list[str]:
    """What a module takes from the wall clock."""
    return sorted(set(_reads(ast.parse(source))))


def _reads(tree: ast.Module) -> Iterator[str]:
    # how the module calls what it imported: `from time import time as now` is found under its own name
    real: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            real.update({alias.asname: alias.name for alias in node.names if alias.asname})
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                real[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        first, dot, rest = ast.unparse(node).partition(".")
        whole = f"{real.get(first, first)}{dot}{rest}"
        while whole.startswith(("datetime.datetime.", "datetime.date.")):
            whole = whole.removeprefix("datetime.")
        if whole in READS:
            yield whole
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            yield node.attr


def modules() -> dict[str, str]:
    """Every production module, and its text."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def test_only_these_read_the_wall_clock() -> None:
    """An hour forward or back changes texts for people and the age of cached files: nobody else asks. None is listed in vain."""
    found = {name: reads(text) for name, text in modules().items()}
    assert {name for name, what in found.items() if what} == ALLOWED.keys(), {
        name: what for name, what in found.items() if what and name not in ALLOWED
    }


@pytest.mark.parametrize(
    "source",
    [
        "import time\nx = time.time()",
        "from time import time as now\nx = now()",
        "import time as t\nx = t.clock_gettime(t.CLOCK_REALTIME)",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.utcnow()",
        "import datetime as d\nx = d.date.today()",
        "from uuid import uuid1\nx = uuid1()",
        "def f(path): return path.stat().st_mtime",
    ],
)
def test_each_way_to_read_it_is_seen(source: str) -> None:
    """Modules, names and other names for them."""
    assert reads(source)


def test_monotonic_clocks_are_no_wall_clocks() -> None:
    """What only goes forward may be asked."""
    assert not reads(
        "import time\nx = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), loop.time()"
    )
