"""Saving a guest's state: why it could not be written comes before what QEMU makes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("libvirt")
from shoal_worker.core.ledger import Note
from shoal_worker.libvirt_saving import LibvirtSaving


class Broken(LibvirtSaving):
    """QEMU's state went into a socket that was closed."""

    def __init__(self) -> None:
        pass

    async def _ask(self, *_: Any) -> dict[str, Any]:
        return {"status": "failed", "error-desc": "Broken pipe"}


async def test_a_full_disk_is_told_as_such() -> None:
    """A host's disk that is full is the reason, and not the pipe that broke because of it."""
    received: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    received.set_exception(OSError(28, "No space left on device"))
    note = Note(instance="i", namespace="red", name="a", uuid="u", revision=1)
    with pytest.raises(OSError, match="No space left"):
        await Broken()._until_migrated(note, received, lambda *_: None)
