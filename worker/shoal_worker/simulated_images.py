"""The twin of `qemu_images`: images are a few words of JSON in memory.

Refuses to know qemu-img. Any other content is an image of the format raw.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from itertools import count

import msgspec

from shoal.messages.disks import ImageRow
from shoal_worker.hypervisor import HypervisorError


class _Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    simulated: str
    size: int
    backing: str = ""


class SimulatedImages:
    """Images by path. `content` are small files of the cluster by SHA-256."""

    def __init__(self, content: Mapping[str, bytes] | None = None) -> None:
        self._content = content if content is not None else {}
        self._made: dict[str, bytes] = {}
        self._numbers = count()

    async def create(self, form: str, size: int, path: str = "") -> str:
        """Keep the words."""
        return self._put(_Image(form, size), path)

    def _put(self, image: _Image, path: str = "") -> str:
        path = path or f"/simulated/draft{next(self._numbers)}"
        if path in self._made:
            raise HypervisorError(
                f"cannot make the image {path}: something is there already; remove it first"
            )
        self._made[path] = msgspec.json.encode(image)
        return path

    async def overlay(self, source: str, path: str) -> None:
        """An image with a backing file."""
        (row, *_) = await self.look(source)
        self._put(_Image("qcow2", row.virtual, source), path)

    async def copy(self, source: str) -> str:
        """An image of the same size."""
        (row, *_) = await self.look(source)
        return self._put(_Image("qcow2", row.virtual))

    async def look(self, path: str) -> tuple[ImageRow, ...]:
        """What the words say."""
        found = self._made.get(path, self._content.get(path.rpartition("/")[2]))
        if found is None:
            raise HypervisorError(f"cannot read disk image {path}: no such file")
        try:
            image = msgspec.json.decode(found, type=_Image)
        except msgspec.DecodeError:
            return (ImageRow(image=path, format="raw", virtual=len(found), actual=len(found)),)
        row = ImageRow(
            image=path, format=image.simulated, virtual=image.size, actual=len(found), backing=image.backing
        )
        return (row, *(await self.look(image.backing) if image.backing else ()))

    async def read(self, path: str) -> AsyncGenerator[bytes, None]:
        """The words."""
        yield self._made[path]

    async def discard(self, path: str) -> None:
        """Forget them."""
        self._made.pop(path, None)
