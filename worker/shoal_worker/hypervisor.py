"""What the reconciler needs of a hypervisor: a Protocol, and the values that cross it.

This module refuses to know libvirt, QEMU, NATS and desired records. `libvirt_hypervisor` is the real thing,
`simulated` its twin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import Load

#: `failed`: QEMU is gone and not because we stopped it
GuestState = Literal["paused", "running", "shutoff", "failed"]


class GuestNic(msgspec.Struct, frozen=True, kw_only=True):
    """A network interface: the tap (made beforehand, enslaved by the network adapter), its MAC and model."""

    tap: str
    mac: str
    driver: str
    mtu: int = 0


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to create a guest. `instance` is its identity, written into the domain's metadata."""

    namespace: str
    name: str
    instance: str
    revision: int
    uuid: str
    config: VMConfig
    nics: tuple[GuestNic, ...] = ()


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A guest of ours as observed. `since` is on the event loop's clock, or None when it was running before us."""

    namespace: str
    name: str
    instance: str
    revision: int
    state: GuestState
    pid: int = 0
    reason: str = ""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What the hypervisor has now: guests of ours, and the load of everybody else's domains."""

    guests: tuple[Guest, ...]
    foreign: Load = Load()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the hypervisor is: `accelerator` is `kvm`, `tcg` or `simulated`; `version` for people."""

    accelerator: str
    version: str
    warnings: tuple[str, ...] = ()


class HypervisorError(Exception):
    """The hypervisor could not do it. The text is one line, for the user to read as the VM's reason."""


class HypervisorBusy(HypervisorError):
    """A call did not end within its deadline, or the hypervisor went away: whether it was done is unknown.

    It says nothing of the guest, and is to be tried again.
    """


class Hypervisor(Protocol):
    """A machine that runs guests. Every method has a deadline of its own and may raise HypervisorError.

    A guest that vanished meanwhile is no error for `pause`, `resume` and `destroy`: the next survey tells.
    """

    async def open(self) -> Facts:
        """Connect, adopting what runs. Raises HypervisorError when there is no usable hypervisor."""
        ...

    async def survey(self) -> Survey:
        """List what is there. Cheap enough for once a second."""
        ...

    async def create(self, spec: GuestSpec) -> None:
        """Create the guest, paused. Raises HypervisorError with QEMU's own reason.

        Nothing happens if a guest of that instance lives: an earlier call that was given up has made it.
        """
        ...

    async def resume(self, instance: str) -> None:
        """Let the guest run; nothing happens if it runs."""
        ...

    async def pause(self, instance: str) -> None:
        """Stop the guest's CPUs; nothing happens if they are stopped."""
        ...

    async def destroy(self, instance: str) -> None:
        """End the guest at once and forget it, together with its overlays, sockets and logs."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed`, on the event loop, whenever a survey would show something new."""
        ...

    async def close(self) -> None:
        """Let go of the connection. Guests run on."""
        ...
