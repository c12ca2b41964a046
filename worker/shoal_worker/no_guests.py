"""The hypervisor of a host in the role `edge`: it takes no guests.

Refuses every guest by name, so that a record which asks for one ends in ERROR with the reason.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal_worker.hypervisor import Facts, GuestSpec, HypervisorError, Survey


class NoGuests:
    """The Protocol `Hypervisor`, with nothing behind it."""

    async def open(self) -> Facts:
        """There is nothing to connect to."""
        return Facts(accelerator="", version="")

    async def survey(self) -> Survey:
        """No guests, ever."""
        return Survey(guests=())

    async def create(self, spec: GuestSpec) -> None:
        """Refuse."""
        raise HypervisorError(
            f"cannot create {spec.namespace}/{spec.name}: this host has the role edge and takes no guests"
        )

    async def resume(self, instance: str) -> None:
        """There is nothing to resume."""

    async def pause(self, instance: str) -> None:
        """There is nothing to pause."""

    async def destroy(self, instance: str) -> None:
        """There is nothing to destroy."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Nothing ever changes."""

    async def close(self) -> None:
        """There is nothing to let go of."""
