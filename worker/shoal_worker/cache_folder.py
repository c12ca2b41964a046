"""Where a host keeps what is dear to make and safe to lose: the guest image, probes of QEMU.

This module refuses to know what is kept there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str], *, root: bool) -> Path:
    """`$XDG_CACHE_HOME/shoal` where that is set (absolute), else `/var/cache/shoal` for root, `~/.cache/shoal`.

    The rule for XDG_CACHE_HOME is the XDG Base Directory Specification's.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "shoal"
    return Path("/var/cache/shoal") if root else Path.home() / ".cache" / "shoal"
