"""The verbs that are programs of their own: the daemons, a cluster on one machine, the small guest, the planner.

This module refuses to know what they do: it becomes `python -m …`. The library never imports the daemons.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import NoReturn

from shoal.errors import UsageError

#: first word → the module to run, and the words that it is told first
PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "up": ("shoal_worker.lab", "up"),
    "lab": ("shoal_worker.lab", "lab"),
    "guest": ("shoal_worker.guest",),
    "worker": ("shoal_worker",),
    "orchestrator": ("shoal_orchestrator",),
    "plan": ("shoal_orchestrator.offline",),
}


def command_line(words: Sequence[str]) -> list[str]:
    """The argument list of the program that `words` ask for. Raises UsageError where it is not there."""
    verb, *rest = words
    module, *first = PROGRAMS[verb]
    if not _installed(module):
        raise UsageError(
            f"`shoal {verb}` needs the module {module}: install shoal with `pip install 'shoal[worker]'`"
        )
    return [sys.executable, "-m", module, *first, *rest]


def become(words: Sequence[str]) -> NoReturn:
    """Replace this process by the program that `words` ask for. Raises UsageError where it is not there."""
    argv = command_line(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(argv[0], argv)  # noqa: S606  # an argument list, no shell


def _installed(module: str) -> bool:
    try:
        return find_spec(f"{module}.__main__") is not None
    except ModuleNotFoundError:
        return False
