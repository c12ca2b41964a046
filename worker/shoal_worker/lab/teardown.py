"""Takes a lab down: its processes, its network namespaces, and its state directory if the lab made it.

It may run at any time and any number of times: after a good end, after a failure at any step, and by the guard
when the lab itself was killed. It refuses to know how the lab was started: all it has is the id and the state
directory.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shoal.errors import Refused
from shoal_worker.lab import census, hosts

#: processes that the others still need while they end
_LAST = ("nats-server", "shoal_worker.lab.relay")
_GRACE_S = 8.0


def tear_down(lab: str, state: Path, *, remove_state: bool) -> None:
    """Remove all that there is of a lab. Raises Refused for what could not be removed, after trying everything."""
    member = census.Member(
        lab=lab, netns=census.inodes(hosts.namespaces(lab)), commands=_written_commands(state)
    )
    left = census.end(member, grace_s=_GRACE_S, later=_is_needed_last)
    try:
        hosts.remove(lab)
    finally:
        if remove_state:
            shutil.rmtree(state, ignore_errors=True)
    if left:
        raise Refused(f"processes of the lab could not be ended: {' '.join(map(str, left))}")


def _is_needed_last(pid: int) -> bool:
    command = census.command_of(pid)
    return any(Path(word).name in _LAST for word in command[:3])


def _written_commands(state: Path) -> frozenset[tuple[str, ...]]:
    """Command lines from processes.json that name the lab's own port or state, so that no other lab has them."""
    try:
        written = json.loads((state / "processes.json").read_text(encoding="utf-8"))
        return frozenset(tuple(process["argv"]) for process in written["processes"] if not process["netns"])
    except (OSError, ValueError, LookupError, TypeError):
        return frozenset()
