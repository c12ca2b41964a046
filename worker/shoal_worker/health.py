"""What a host finds of itself when the cluster is checked: a Protocol, and its twin for simulated hosts.

This module refuses to know what is good and what is bad. `linux_health` is the real thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shoal.messages.health_requests import HostHealth


class Health(Protocol):
    """One host, seen from inside."""

    async def look(self, peers: Sequence[str]) -> HostHealth:
        """How the host is, and which of these addresses it does not reach. Takes a few seconds at most."""
        ...


class SimulatedHealth:
    """A host with nothing wrong, or with what the test says."""

    def __init__(self, health: HostHealth | None = None) -> None:
        self.health = health or HostHealth()

    async def look(self, peers: Sequence[str]) -> HostHealth:
        """Always the same."""
        del peers
        return self.health
