"""Reads the beginning of a disk image: whether it is qcow2, and whether it needs other files.

The form is that of QEMU's docs/interop/qcow2.txt. This module refuses to know files, and what is done about an image.
"""

from __future__ import annotations

import re
import struct

from shoal.errors import InvalidRequest

#: what is read of a file is enough if it has so many bytes
HEAD_BYTES = 104
_MAGIC = b"QFI\xfb"
#: bit of the incompatible features that says that data is in another file
_EXTERNAL_DATA = 1 << 2
_SIZE = re.compile(r"([0-9]+)([kKmMgGtT]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
#: bytes
_LARGEST = 64 << 40


def needs_others(head: bytes) -> str:
    """What other files a qcow2 image of this beginning needs, in words; empty for any other file, and if it needs none."""
    if not head.startswith(_MAGIC) or len(head) < 20:
        return ""
    version, backing = struct.unpack_from(">IQ", head, 4)
    if backing:
        return "a backing file"
    if version >= 3 and len(head) >= 80 and struct.unpack_from(">Q", head, 72)[0] & _EXTERNAL_DATA:
        return "another file with its data"
    return ""


def parse_size(text: str) -> int:
    """A size in bytes from `100`, `64k`, `10M`, `20G` or `1T`. Raises InvalidRequest for anything else."""
    match = _SIZE.fullmatch(text)
    size = int(match[1][:20]) * _UNITS[match[2].lower()] if match else 0
    if not 0 < size <= _LARGEST:
        raise InvalidRequest(
            f"invalid size: `{text}`; expected a number of bytes up to 64T, with k, M, G or T for larger units"
        )
    return size
