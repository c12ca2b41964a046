"""The form of a saved state, and the head of the file from which libvirt restores one.

A saved state is a line that says what it is, a line of JSON about the machine that it was saved on, and QEMU's
migration stream to the end. libvirt's own form (src/qemu/qemu_saveimage.h of 9.0) begins with a header and the
domain's XML instead; writing these anew is what lets a state be restored under another name, on another host.
This module refuses to know files and libvirt's calls.
"""

from __future__ import annotations

import struct

import msgspec

from shoal.core.saved_machine import SavedMachine

_MARK = b"SHOAL-VM-STATE 1\n"
#: the two lines are not longer than this, in bytes
LONGEST_HEAD = 256 * 1024

_LIBVIRT_MAGIC = b"LibvirtQemudSave"
_LIBVIRT_VERSION = 2
#: magic, version, length of the XML, was running, compression, offset of the cookie, 14 unused; host byte order
_LIBVIRT_HEADER = struct.Struct("=16s19I")


def state_head(machine: SavedMachine) -> bytes:
    """What stands before QEMU's stream in a saved state."""
    return _MARK + msgspec.json.encode(machine) + b"\n"


def read_state_head(beginning: bytes) -> tuple[SavedMachine, int]:
    """The machine, and where QEMU's stream begins, from a state's first LONGEST_HEAD bytes.

    Raises ValueError for what is no saved state.
    """
    if not beginning.startswith(_MARK):
        raise ValueError("it is no saved state: `vm save` makes one")
    end = beginning.find(b"\n", len(_MARK))
    if end < 0:
        raise ValueError("it is a saved state that ends early")
    try:
        machine = msgspec.json.decode(beginning[len(_MARK) : end], type=SavedMachine)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is a saved state of a form that is not known: {error}") from error
    return machine, end + 1


def libvirt_head(xml: str) -> bytes:
    """What stands before QEMU's stream in a file that libvirt restores: the domain will be the one of this XML."""
    body = xml.encode() + b"\0"
    return _LIBVIRT_HEADER.pack(_LIBVIRT_MAGIC, _LIBVIRT_VERSION, len(body), 0, 0, 0, *([0] * 14)) + body
