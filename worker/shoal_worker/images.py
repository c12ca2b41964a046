"""What the worker needs to make disk images and to look at them: a Protocol.

This module refuses to know qemu-img, guests and NATS. `qemu_images` is the real thing, `simulated_images` its twin.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from shoal.messages.disks import ImageRow


class Images(Protocol):
    """Disk images of one host, by absolute path. HypervisorError with the reason for what cannot be done."""

    async def create(self, form: str, size: int, path: str = "") -> str:
        """Make an empty image (`qcow2` or `raw`) of `size` bytes at `path`, or as a draft; returns its path."""
        ...

    async def overlay(self, source: str, path: str) -> None:
        """Make an image at `path` that begins as `source`, and only holds what is different."""
        ...

    async def copy(self, source: str) -> str:
        """Copy an image, with all that is beneath it, into a draft that needs no other; returns its path."""
        ...

    async def look(self, path: str) -> tuple[ImageRow, ...]:
        """What an image is, and those beneath it."""
        ...

    def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """The content of a draft."""
        ...

    async def discard(self, path: str) -> None:
        """Remove a draft."""
        ...
