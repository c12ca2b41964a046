"""Guests in memory. Stands in until simulated_hypervisor is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from shoal_worker.hypervisor import Facts, Guest, GuestSpec, Survey


class SimulatedHypervisor:
    """The Protocol `Hypervisor` in memory."""

    def __init__(self) -> None:
        self.guests: dict[str, Guest] = {}

    async def open(self) -> Facts:
        """Nothing to connect to."""
        return Facts(accelerator="simulated", version="simulated")

    async def survey(self) -> Survey:
        """List the guests."""
        return Survey(guests=tuple(self.guests.values()))

    async def create(self, spec: GuestSpec) -> None:
        """Create one."""
        await asyncio.sleep(0.002)
        self.guests[spec.instance] = Guest(
            namespace=spec.namespace,
            name=spec.name,
            instance=spec.instance,
            revision=spec.revision,
            state="paused",
            pid=1000 + len(self.guests),
        )

    async def resume(self, instance: str) -> None:
        """Let it run."""
        if instance in self.guests:
            self.guests[instance] = msgspec.structs.replace(self.guests[instance], state="running")

    async def pause(self, instance: str) -> None:
        """Stop it."""
        if instance in self.guests:
            self.guests[instance] = msgspec.structs.replace(self.guests[instance], state="paused")

    async def destroy(self, instance: str) -> None:
        """End it."""
        self.guests.pop(instance, None)

    def watch(self, changed: Callable[[], None]) -> None:
        """Nothing happens by itself."""

    async def close(self) -> None:
        """Nothing to let go of."""
