"""Reaches into guests that run under libvirt: the real thing behind the Protocol `GuestAccess`.

Calls block on the hypervisor's threads with a deadline each. This module refuses to know NATS and desired records.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from PIL import Image

from shoal.core.saved_machine import SavedMachine
from shoal_worker.core.ledger import Ledger, Note
from shoal_worker.deadline_pool import DeadlinePool
from shoal_worker.guest_access import Hotplugged, SavedGuest, Told
from shoal_worker.hypervisor import GuestNic, HypervisorError
from shoal_worker.libvirt_devices import Devices
from shoal_worker.libvirt_saving import LibvirtSaving

_CALL_S = 30.0
T = TypeVar("T")


class LibvirtAccess:
    """The guests of one worker; made by its hypervisor, with whose parts it works."""

    def __init__(self, pool: DeadlinePool, devices: Devices, ledger: Ledger, saving: LibvirtSaving) -> None:
        self._pool = pool
        self._devices = devices
        self._ledger = ledger
        self._saving = saving

    async def run_qmp(self, instance: str, command: str) -> str:
        """QEMU's answer."""
        return await self._call("asking QEMU", instance, self._devices.run_qmp, command)

    async def screenshot(self, instance: str, longest: int = 0) -> bytes:
        """The screen as PNG, whatever QEMU's form is."""
        picture = await self._call("taking a screenshot", instance, self._devices.screenshot)
        return await self._pool.call("scaling a screenshot", partial(_as_png, picture, longest), _CALL_S)

    async def change_cdrom(self, instance: str, path: str, *, force: bool) -> None:
        """Change or remove the medium."""
        await self._call("changing a CD-ROM", instance, self._devices.change_cdrom, path, force=force)

    async def attach_nic(self, instance: str, nic: GuestNic) -> None:
        """Plug an interface in."""
        await self._call("plugging an interface in", instance, self._devices.attach_nic, nic)

    async def plug(self, instance: str, path: str, version: str, serial: str = "") -> int:
        """Plug a drive in."""
        return await self._call("plugging a drive in", instance, self._devices.plug, path, version, serial)

    async def unplug(self, instance: str, number: int) -> None:
        """Take a drive out."""
        await self._call("taking a drive out", instance, self._devices.unplug, number)

    async def plugged(self, instance: str) -> tuple[Hotplugged, ...]:
        """List the drives."""
        return await self._call("looking at drives", instance, self._devices.plugged)

    async def save(self, instance: str, machine: SavedMachine, told: Told) -> SavedGuest:
        """Write state and disks into the guest's folder."""
        return await self._saving.save(self._note(instance), machine, told)

    async def _call(
        self, what: str, instance: str, function: Callable[..., T], *arguments: object, **named: object
    ) -> T:
        note = self._note(instance)
        work = partial(function, note.uuid, instance, *arguments, **named)
        return await self._pool.call(f"{what} of {note.namespace}/{note.name}", work, _CALL_S)

    def _note(self, instance: str) -> Note:
        note = self._ledger.note(instance)
        if note is None or note.ended:
            raise HypervisorError("the VM does not run on this host (any more)")
        return note


def _as_png(picture: bytes, longest: int) -> bytes:
    """The picture as PNG, its longer side at most `longest` pixels (0: as it is)."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        if longest:
            image.thumbnail((longest, longest))
        image.save(out, format="PNG")
    return out.getvalue()
