"""Answers about the host itself, when the cluster is checked.

Refuses to know the bus.
"""

from __future__ import annotations

from shoal.messages.health_requests import AskHealth, HostHealth
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk


async def ask_health(desk: Desk, request: AskHealth, _: Told) -> HostHealth:
    """How the host is."""
    return await desk.health.look(request.peers)
