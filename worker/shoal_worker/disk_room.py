"""Whether something fits on a worker's disk, and the words for when it does not.

A worker leaves some room for itself: on a disk that is full to the last byte it could not even write down, and so not
report, what became of a VM. Refuses to know what is to be written. Everything here blocks.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from shoal.core.files import size_text

#: for the journal, notes on guests, their logs, libvirt's own files and the headers of overlays: under 1 MiB for a
#: guest. What guests write into their overlays later is not in it: nobody knows how much that will be.
OWN_BYTES = 16 << 20


def lack(folder: Path, size: int = 0) -> str:
    """Why `size` more bytes do not fit into a folder; empty when they do. OSError when nobody can tell."""
    at = folder
    while not at.exists() and at != at.parent:
        at = at.parent
    free = shutil.disk_usage(at).free
    needed = size + OWN_BYTES
    if free >= needed:
        return ""
    return f"{size_text(free)} are left in {folder}, {size_text(needed)} are needed"


def is_full(error: BaseException) -> bool:
    """Whether a disk that is full is behind an error of ours, or of a program that tells it in its own words."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return os.strerror(errno.ENOSPC) in str(error)
