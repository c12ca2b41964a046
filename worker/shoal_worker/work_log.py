"""Tells what was done about VMs: in the log, gathered by the request that asked for it, and in the metrics.

Refuses to do anything. What went well is one line for each request and round, not one for each VM: ten thousand VMs
that are launched at once are told of in a few lines, which bear the id that the orchestrator's lines bear.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from shoal.core.ranges import fold
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_worker.core.actions import Action, Settle, Work
from shoal_worker.measures import ACTION_SECONDS, ACTIONS, OVERDUE

#: characters of the names on one line
_MAX_NAMES = 300


def word(action: Action) -> str:
    """What an action is called in logs and metrics: `create`, `resume`, …"""
    return type(action).__name__.lower()


class WorkLog:
    """What one host's worker has done since it was last told of."""

    def __init__(self, log: Any, metrics: Metrics = NOBODY) -> None:
        self._log = log
        self._metrics = metrics
        #: names by request, namespace and what was done
        self._done: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)

    def acted(self, action: Action, outcome: str, seconds: float = 0.0) -> None:
        """The hypervisor has done it (`ok`), or has not: `failed`, `again` or `replaced`."""
        if isinstance(action, Settle):
            return
        self._metrics.count(ACTIONS, word(action), outcome)
        if outcome == "ok":
            self._metrics.observe(ACTION_SECONDS, seconds, word(action))

    def overdue(self, call: str) -> None:
        """The hypervisor did not answer, or not in time."""
        self._metrics.count(OVERDUE, call)

    def carried_out(self, request: str, work: Work) -> None:
        """All of this work went well."""
        done = "+".join(word(action) for action in work.actions if not isinstance(action, Settle))
        namespace, name = work.key
        self._done[request, namespace, done].append(name)

    def flush(self) -> None:
        """Say what has been done, a line for each request."""
        done, self._done = self._done, defaultdict(list)
        for (request, namespace, what), names in done.items():
            vms = fold(names)
            self._log.info(
                "carried-out",
                request=request,
                namespace=namespace,
                done=what,
                count=len(names),
                vms=vms if len(vms) <= _MAX_NAMES else f"{vms[:_MAX_NAMES]}…",
            )
