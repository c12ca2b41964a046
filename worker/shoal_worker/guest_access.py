"""What can be done with a guest besides letting it run: a Protocol. Looking at it, talking to its QEMU, its media.

This module refuses to know libvirt, QEMU, NATS and desired records. `libvirt_access` is the real thing,
`simulated_access` its twin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shoal.core.saved_machine import SavedMachine
from shoal_worker.hypervisor import GuestNic


class Hotplugged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A USB drive that was plugged into a running guest: `number` in the guest, from 0; `version` of USB."""

    number: int
    path: str
    version: str


#: reads content from its beginning, part by part
Read = Callable[[], AsyncGenerator[bytes, None]]


@dataclass(frozen=True, slots=True)
class SavedGuest:
    """What a guest was saved to: `state` and `disks` can be read until they are discarded."""

    machine: SavedMachine
    state: Read
    disks: tuple[Read, ...]
    discard: Callable[[], Awaitable[None]]


#: called with (done, total, text) while something takes its time
Told = Callable[[int, int, str], None]


class GuestAccess(Protocol):
    """The guests of one host, by instance. HypervisorError for one that does not run here, or when it refuses."""

    async def run_qmp(self, instance: str, command: str) -> str:
        """Give QEMU a command of its machine protocol (JSON) and return its answer (JSON)."""
        ...

    async def screenshot(self, instance: str, longest: int = 0) -> bytes:
        """The guest's screen as PNG, its longer side at most `longest` pixels (0: as it is)."""
        ...

    async def change_cdrom(self, instance: str, path: str, *, force: bool) -> None:
        """Put the image at `path` into the CD-ROM drive, or nothing (empty); `force` overrides the guest's lock."""
        ...

    async def attach_nic(self, instance: str, nic: GuestNic) -> None:
        """Plug an interface in, on a tap that is there; nothing happens if there is one of that MAC address."""
        ...

    async def plug(self, instance: str, path: str, version: str, serial: str = "") -> int:
        """Plug the image at `path` in as a USB drive (`version` 1.1 or 2.0); returns its number.

        The guest can only read it. `serial` is what it reads as the drive's serial number.
        """
        ...

    async def unplug(self, instance: str, number: int) -> None:
        """Take a USB drive out."""
        ...

    async def plugged(self, instance: str) -> tuple[Hotplugged, ...]:
        """The USB drives that were plugged in."""
        ...

    async def save(self, instance: str, machine: SavedMachine, told: Told) -> SavedGuest:
        """Save memory, devices and disks of a paused guest; `machine` is what it was launched as.

        The guest stays paused, and `Hypervisor.resume` lets it go on. One save of a guest at a time.
        """
        ...
