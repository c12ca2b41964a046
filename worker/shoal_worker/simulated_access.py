"""The twin of `libvirt_access` for simulated guests: same Protocol, in memory.

Refuses to know libvirt. A simulated guest has a blank screen, a CD-ROM drive if it was launched with one, and the USB
drives that were plugged in; its QEMU knows `query-status` and `x-resumes` (how often the guest was resumed, which is
all that it remembers), and takes everything else.
"""

from __future__ import annotations

import binascii
import json
import struct
import zlib
from collections import defaultdict
from collections.abc import AsyncGenerator
from functools import partial

from shoal.core.saved_machine import SavedMachine
from shoal_worker.core.saved_state import state_head
from shoal_worker.guest_access import Hotplugged, SavedGuest, Told
from shoal_worker.hypervisor import Guest, GuestNic, HypervisorError
from shoal_worker.kept_guests import SimulatedGuests

_WIDTH, _HEIGHT = 720, 400


class SimulatedAccess:
    """Access to the guests of a `SimulatedHypervisor`."""

    def __init__(self, kept: SimulatedGuests) -> None:
        self._kept = kept
        self._drives: defaultdict[str, dict[int, Hotplugged]] = defaultdict(dict)

    def _guest(self, instance: str) -> Guest:
        guest = self._kept.guests.get(instance)
        if guest is None or guest.state not in ("paused", "running"):
            raise HypervisorError("the VM does not run on this host (any more)")
        return guest

    async def run_qmp(self, instance: str, command: str) -> str:
        """Answer `query-status` as QEMU does, and the rest with nothing."""
        guest = self._guest(instance)
        answer: object = {}
        if json.loads(command).get("execute") == "x-resumes":
            answer = self._kept.memory.get(instance, 0)
        if json.loads(command).get("execute") == "query-status":
            running = guest.state == "running"
            answer = {"running": running, "singlestep": False, "status": "running" if running else "paused"}
        return json.dumps({"return": answer})

    async def screenshot(self, instance: str, longest: int = 0) -> bytes:
        """A black screen."""
        self._guest(instance)
        scale = min(1.0, longest / _WIDTH) if longest else 1.0
        return _black(max(1, round(_WIDTH * scale)), max(1, round(_HEIGHT * scale)))

    async def change_cdrom(self, instance: str, path: str, *, force: bool) -> None:
        """Every simulated guest has a drive."""
        del path, force
        self._guest(instance)

    async def attach_nic(self, instance: str, nic: GuestNic) -> None:
        """A simulated guest has no interfaces."""
        del nic
        self._guest(instance)

    async def plug(self, instance: str, path: str, version: str, serial: str = "") -> int:
        """Note the drive."""
        del serial
        self._guest(instance)
        drives = self._drives[instance]
        number = next(n for n in range(len(drives) + 1) if n not in drives)
        drives[number] = Hotplugged(number=number, path=path, version=version)
        return number

    async def unplug(self, instance: str, number: int) -> None:
        """Forget the drive."""
        self._guest(instance)
        if self._drives[instance].pop(number, None) is None:
            raise HypervisorError("no such hotplug device")

    async def plugged(self, instance: str) -> tuple[Hotplugged, ...]:
        """The drives that were noted."""
        self._guest(instance)
        return tuple(drive for _, drive in sorted(self._drives[instance].items()))

    async def save(self, instance: str, machine: SavedMachine, told: Told) -> SavedGuest:
        """A state is how often the guest was resumed; a disk is a few words."""
        guest = self._guest(instance)
        if self._drives[instance]:
            raise HypervisorError(
                f"cannot save {guest.namespace}/{guest.name}: USB drives are plugged in; "
                f"`vm hotplug remove {guest.name} all` first"
            )
        told(1, 1, "saving memory")
        state = state_head(machine) + str(self._kept.memory.get(instance, 0)).encode()
        disk = b"what a simulated guest has on its disk"
        return SavedGuest(
            machine=machine,
            state=partial(_once, state),
            disks=tuple(partial(_once, disk) for _ in machine.disks),
            discard=_nothing,
        )


async def _once(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


async def _nothing() -> None:
    return


def _black(width: int, height: int) -> bytes:
    """A black picture as PNG (ISO/IEC 15948), one bit for each pixel."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", binascii.crc32(kind + body))

    rows = (b"\0" + bytes((width + 7) // 8)) * height
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
