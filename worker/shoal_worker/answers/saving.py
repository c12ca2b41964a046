"""Answers with guests that were saved: their memory, devices and disks, in the file store.

Refuses to know the bus, names of files, and how a guest is saved. Nothing else is done about a VM meanwhile; its guest
goes on, if it is to run, before anything is sent to the store.
"""

from __future__ import annotations

import asyncio
import contextlib

from shoal.core.saved_machine import SavedNic, machine_of
from shoal.errors import Refused
from shoal.messages.desired import LaunchRecord
from shoal.messages.host_requests import SavedContent, SaveGuest
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.core.desired import PRESENT
from shoal_worker.guest_access import SavedGuest
from shoal_worker.shelving import shelve_parts

#: how often it is looked whether the VM is still wanted
_LOOK_S = 0.5


async def save_guest(desk: Desk, request: SaveGuest, told: Told) -> SavedContent:
    """Save a guest, let it go on, and put what it was saved to into the store."""
    record = _record(desk, request.instance)
    async with desk.hold((record.namespace, record.name), record.instance):
        saved = await _paused_and_saved(desk, record, told)
    try:
        state = await shelve_parts(desk.blobs, saved.state, f"{request.label}.state", told)
        disks = [await shelve_parts(desk.blobs, disk, f"{request.label}.hdd", told) for disk in saved.disks]
    finally:
        await asyncio.shield(saved.discard())
    return SavedContent(machine=saved.machine, state=state, disks=tuple(disks))


def _record(desk: Desk, instance: str) -> LaunchRecord:
    for record in desk.desired.launches():
        if record.instance == instance and record.power in PRESENT:
            return record
    raise Refused("the VM does not run on this host (any more)")


async def _paused_and_saved(desk: Desk, record: LaunchRecord, told: Told) -> SavedGuest:
    machine = machine_of(record.config, (SavedNic(driver=port.driver, mac=port.mac) for port in record.ports))
    await desk.hypervisor.pause(record.instance)
    task = asyncio.ensure_future(desk.access.save(record.instance, machine, told))
    try:
        while not (await asyncio.wait((task,), timeout=_LOOK_S))[0]:
            _record(desk, record.instance)  # it may be killed: then its QEMU is needed by nobody
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((task,))
        await asyncio.shield(_go_on(desk, record.instance))


async def _go_on(desk: Desk, instance: str) -> None:
    """Let the guest run if that is wanted of it now."""
    with contextlib.suppress(Refused):
        if _record(desk, instance).power == "running":
            await desk.hypervisor.resume(instance)
