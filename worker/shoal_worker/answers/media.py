"""Answers about what is put into running guests: CD-ROM images, USB drives, interfaces.

Refuses to know the bus. An image is a file of the host, or content of the cluster's that is fetched first.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoal.core.files import size_text
from shoal.errors import NotFound, Refused
from shoal.messages.host_requests import (
    AttachInterface,
    ChangeMedium,
    Drive,
    Drives,
    ListDrives,
    Medium,
    PlugDrive,
    Text,
    UnplugDrives,
)
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.file_cache import CacheError
from shoal_worker.hypervisor import GuestNic, HypervisorError


async def change_medium(desk: Desk, request: ChangeMedium, told: Told) -> Text:
    """Change, or take out, what is in the CD-ROM drive."""
    path = await located(desk, request.medium, told) if request.medium is not None else ""
    await desk.access.change_cdrom(request.instance, path, force=request.force)
    return Text()


async def attach_interface(desk: Desk, request: AttachInterface, _: Told) -> Text:
    """Plug an interface in."""
    nic = GuestNic(tap=request.tap, mac=request.mac, driver=request.driver)
    await desk.access.attach_nic(request.instance, nic)
    return Text()


async def plug_drive(desk: Desk, request: PlugDrive, told: Told) -> Text:
    """Plug a drive in; its number is the answer."""
    path = await located(desk, request.medium, told)
    return Text(text=str(await desk.access.plug(request.instance, path, request.version, request.serial)))


async def unplug_drives(desk: Desk, request: UnplugDrives, _: Told) -> Text:
    """Take one drive out, or all."""
    numbers = [request.number] if request.number is not None else []
    if request.number is None:
        numbers = [drive.number for drive in await desk.access.plugged(request.instance)]
        if not numbers:
            raise Refused("no hotplug devices to remove")
    for number in numbers:
        await desk.access.unplug(request.instance, number)
    return Text()


async def list_drives(desk: Desk, request: ListDrives, _: Told) -> Drives:
    """The drives of guests; one that has just ended has none."""
    found = []
    for instance in request.instances:
        try:
            drives = await desk.access.plugged(instance)
        except HypervisorError:
            continue
        found += [
            Drive(instance=instance, number=drive.number, file=drive.path, version=drive.version)
            for drive in drives
        ]
    return Drives(items=tuple(found))


async def located(desk: Desk, medium: Medium, told: Told) -> str:
    """Where the image is on this host."""
    if not medium.digest:
        if not await asyncio.to_thread(Path(medium.path).is_file):
            raise NotFound(f"no file {medium.path} on host {desk.host}", names=(medium.path,))
        return medium.path
    if not desk.cache.holds(medium.digest):

        def come(done: int, size: int) -> None:
            told(done, size, f"fetching {medium.name}: {size_text(done)} of {size_text(size)}")

        try:
            # Nothing may be thrown out for it: what is plugged into guests is in no record.
            await desk.cache.fetch(medium.digest, lambda: None, come)
        except CacheError as error:
            raise Refused(f"cannot fetch file {medium.name} to host {desk.host}: {error}") from error
    return desk.cache.path(medium.digest)
