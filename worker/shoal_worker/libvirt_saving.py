"""Saves a guest that runs under libvirt: its memory and devices as a state file, its disks as images of their own.

QEMU itself writes its state into a socket, as it does when it migrates: its guest is paused before and can go on
afterwards in the same process. QEMU lets go of its disks for the time, and they are copied then.
Calls of libvirt block on the hypervisor's threads; files are written on others. This module refuses to know NATS and
desired records, and why a guest is saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from msgspec.structs import replace

from shoal.core.saved_machine import SavedMachine
from shoal_worker.core.domain_xml import AcceleratorKind, Layer
from shoal_worker.core.ledger import Note
from shoal_worker.core.machine_layout import has_drive, read_board, read_chains, read_layout
from shoal_worker.core.media_xml import usb_drives
from shoal_worker.core.saved_state import state_head
from shoal_worker.deadline_pool import DeadlinePool
from shoal_worker.guest_access import SavedGuest, Told
from shoal_worker.guest_folders import GuestFolders
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.image_copying import flatten
from shoal_worker.libvirt_devices import Devices
from shoal_worker.shelving import parts_of

_CALL_S = 30.0
_POLL_S = 0.2
#: QEMU has said that it is done, and its last bytes are still in the socket
_LAST_BYTES_S = 60.0
_PART_BYTES = 1 << 20
#: bytes a second; QEMU's own bound is for networks
_BANDWIDTH = 1 << 40
T = TypeVar("T")


class LibvirtSaving:
    """Saving of one worker's guests. What is being written lies in the guest's own folder."""

    def __init__(
        self, pool: DeadlinePool, devices: Devices, folders: GuestFolders, accelerator: AcceleratorKind
    ) -> None:
        self._pool = pool
        self._devices = devices
        self._folders = folders
        self._accelerator = accelerator

    async def save(self, note: Note, machine: SavedMachine, told: Told) -> SavedGuest:
        """Write state and disks of a paused guest into files of its folder; see the Protocol `GuestAccess`."""
        who = f"{note.namespace}/{note.name}"
        described = await self._call(who, partial(self._devices.describe, note.uuid, note.instance))
        if usb_drives(described):
            raise HypervisorError(
                f"cannot save {who}: USB drives are plugged in; `vm hotplug remove {note.name} all` first"
            )
        machine = replace(
            machine,
            accelerator=self._accelerator,
            board=read_board(described),
            layout=read_layout(described),
            cdrom=has_drive(described),
        )
        folder = await self._call(who, partial(self._draft_folder, note.instance))
        try:
            return await self._save(note, machine, read_chains(described), folder, told)
        except BaseException as error:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
            if isinstance(error, OSError):
                raise HypervisorError(f"cannot save {who} in {folder}: {error.strerror or error}") from error
            raise

    async def _save(
        self,
        note: Note,
        machine: SavedMachine,
        chains: Iterable[Sequence[Layer]],
        folder: Path,
        told: Told,
    ) -> SavedGuest:
        state = folder / "state"
        with await asyncio.to_thread(state.open, "xb") as file:
            await asyncio.to_thread(file.write, state_head(machine))
            await self._write_state(note, file, told)
        disks = []
        for number, chain in enumerate(chains):
            told(0, 0, f"copying disk {number}")
            disks.append(folder / f"disk{number}.qcow2")
            await flatten(chain, disks[-1])
        return SavedGuest(
            machine=machine,
            state=partial(parts_of, state),
            disks=tuple(partial(parts_of, disk) for disk in disks),
            discard=partial(asyncio.to_thread, shutil.rmtree, folder, ignore_errors=True),
        )

    def _draft_folder(self, instance: str) -> Path:
        folder = self._folders.path(instance) / "save"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    async def _write_state(self, note: Note, file: BinaryIO, told: Told) -> None:
        await self._ready(note)
        # not in the draft's own folder: the paths of sockets are limited
        path = self._folders.path(note.instance) / "save.sock"
        await asyncio.to_thread(path.unlink, missing_ok=True)
        await self._ask(note, "migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
        async with _received(path, file) as received:
            try:
                await self._ask(note, "migrate", {"uri": f"unix:{path}"})
                await self._until_migrated(note, received, told)
                async with asyncio.timeout(_LAST_BYTES_S):
                    await received
            except BaseException:
                with contextlib.suppress(HypervisorError):
                    await asyncio.shield(self._ask(note, "migrate_cancel"))
                raise

    async def _ready(self, note: Note) -> None:
        """QEMU refuses to write its state again while it is paused since the last time: let it go on for a moment."""
        if (await self._ask(note, "query-status"))["status"] == "postmigrate":
            await self._ask(note, "cont")
            await self._ask(note, "stop")

    async def _until_migrated(self, note: Note, received: asyncio.Future[None], told: Told) -> None:
        while True:
            seen = await self._ask(note, "query-migrate")
            if received.done():
                received.result()  # why nothing more could be written says more than QEMU's broken pipe
            status, memory = seen.get("status", ""), seen.get("ram", {})
            total = int(memory.get("total", 0))
            told(total - int(memory.get("remaining", 0)), total, "saving memory")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                reason = seen.get("error-desc", "no reason given")
                raise HypervisorError(f"QEMU could not write its state ({status}: {reason})")
            await asyncio.sleep(_POLL_S)

    async def _ask(self, note: Note, command: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        question = {"execute": command, **({"arguments": arguments} if arguments else {})}
        run = partial(self._devices.run_qmp, note.uuid, note.instance, json.dumps(question))
        answer: dict[str, Any] = json.loads(await self._call(f"{note.namespace}/{note.name}", run))
        if "error" in answer:
            reason = answer["error"].get("desc", "no reason given")
            raise HypervisorError(
                f"cannot save {note.namespace}/{note.name}: QEMU refuses {command}: {reason}"
            )
        found: dict[str, Any] = answer.get("return") or {}
        return found

    async def _call(self, who: str, function: Callable[[], T]) -> T:
        return await self._pool.call(f"saving {who}", function, _CALL_S)


@contextlib.asynccontextmanager
async def _received(path: Path, file: BinaryIO) -> AsyncIterator[asyncio.Future[None]]:
    """Listen at `path` for one sender, and write what it sends into `file`; the future is done at its end."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(_PART_BYTES):
                await asyncio.to_thread(file.write, part)
        except Exception as error:  # noqa: BLE001 - it belongs to who waits, whatever it is
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(None)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(receive, path, limit=_PART_BYTES)
    try:
        yield done
    finally:
        server.close()
        done.cancel()
        with contextlib.suppress(OSError):
            await asyncio.to_thread(path.unlink, missing_ok=True)
