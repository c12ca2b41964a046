"""Answers about running guests: their QEMU, their screen, what they take.

Refuses to know the bus, and names of files.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from shoal.errors import Refused
from shoal.messages.host_requests import (
    Content,
    MeasureGuests,
    RunQMP,
    TakeScreenshot,
    Text,
    Usage,
    Usages,
)
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk, shelve
from shoal_worker.machine import ProcessReadings

_PNG = b"\x89PNG\r\n\x1a\n"


async def run_qmp(desk: Desk, request: RunQMP, _: Told) -> Text:
    """QEMU's answer, as it gives it."""
    return Text(text=await desk.access.run_qmp(request.instance, request.command))


async def take_screenshot(desk: Desk, request: TakeScreenshot, _: Told) -> Content:
    """The screen, in the file store or at a path of this host."""
    picture = await desk.access.screenshot(request.instance, request.longest)
    if request.path:
        await asyncio.to_thread(_write, Path(request.path), picture)
        return Content(size=len(picture))
    return await shelve(desk.blobs, picture, request.label)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(_PNG))


def _write(path: Path, picture: bytes) -> None:
    """Write a picture; what is there already is replaced only if it is one."""
    try:
        # Whether it is a file is asked first: to open a pipe takes until somebody writes to it.
        if path.exists() and not (path.is_file() and _begins(path) == _PNG):
            raise Refused(f"cannot write {path}: something is there that is no picture; remove it first")
        path.write_bytes(picture)
    except OSError as error:
        raise Refused(f"cannot write {path} on the VM's host: {error.strerror or error}") from error


async def measure(desk: Desk, request: MeasureGuests, _: Told) -> Usages:
    """Look twice at the guests' processes and taps. Guests that do not run are left out."""
    before = await _look(desk, request.instances)
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, request.duration_s))
    after = await _look(desk, before)
    elapsed_s = max(asyncio.get_running_loop().time() - began, 1e-6)
    return Usages(
        items=tuple(
            _usage(instance, before[instance], now, elapsed_s) for instance, now in sorted(after.items())
        )
    )


#: what the guest's process had had, and bytes that its interfaces had received and sent
_Look = tuple[ProcessReadings, int, int]


async def _look(desk: Desk, instances: tuple[str, ...] | dict[str, _Look]) -> dict[str, _Look]:
    wanted = set(instances)
    survey = await desk.hypervisor.survey()
    pids = {guest.instance: guest.pid for guest in survey.guests if guest.pid}
    found: dict[str, _Look] = {}
    for record in desk.desired.launches():
        pid = pids.get(record.instance)
        readings = desk.machine.process(pid) if pid and record.instance in wanted else None
        if readings is not None:
            traffic = [desk.machine.interface_bytes(port.tap) for port in record.ports]
            # What the host sends into a tap is what the guest receives.
            found[record.instance] = (
                readings,
                sum(each.tx_bytes for each in traffic),
                sum(each.rx_bytes for each in traffic),
            )
    return found


def _usage(instance: str, before: _Look, now: _Look, elapsed_s: float) -> Usage:
    (then, rx_then, tx_then), (current, rx_now, tx_now) = before, now
    return Usage(
        instance=instance,
        virtual=current.virtual_bytes,
        resident=current.resident_bytes,
        shared=current.shared_bytes,
        cpu=max(0.0, current.cpu_s - then.cpu_s) / elapsed_s,
        guest_cpu=max(0.0, current.guest_cpu_s - then.guest_cpu_s) / elapsed_s,
        cpu_s=current.cpu_s,
        rx_bytes_s=max(0, rx_now - rx_then) / elapsed_s,
        tx_bytes_s=max(0, tx_now - tx_then) / elapsed_s,
    )
