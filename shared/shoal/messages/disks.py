"""Commands about disk images: made, copied, looked at."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.core.files import size_text
from shoal.messages.base import Display, Done, Reply, Request, Said, Scope, Table


class CreateDisk(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Make an empty disk image, as a file of the cluster, or at an absolute path of the head.

    The size is in bytes, or with k, M, G or T behind it. Files of the cluster never change: VMs write to overlays of them.

    Example: disk create qcow2 data.qcow2 10G
    """

    noun: ClassVar[str] = "disk"
    verb: ClassVar[str] = "create"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("disk create <form:qcow2,raw> <image> <size>",)

    form: str
    image: str
    size: str


class SnapshotDisk(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Make a disk image that begins as another one; without a name for it, one is chosen and shown.

    Of a file of the cluster it is a second name for the same content. Of an image at an absolute path of the head it is a
    copy in the cluster's files, or, at an absolute path as well, an image that only holds what is different.

    Example: disk snapshot base.qcow2 mine.qcow2
    """

    noun: ClassVar[str] = "disk"
    verb: ClassVar[str] = "snapshot"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("disk snapshot <image> [target]",)
    reply: ClassVar[type[Reply]] = Said

    image: str
    target: str = ""


class ImageRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One image: sizes in bytes, of the disk that a guest sees and of what is kept of it."""

    image: str
    format: str
    virtual: int = 0
    actual: int = 0
    backing: str = ""
    used: bool = False


class Images(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """An image, and those beneath it where they were asked for."""

    items: tuple[ImageRow, ...] = ()

    def display(self) -> Display:
        """Show the peer's columns."""
        return Table(
            columns=("image", "format", "virtualsize", "disksize", "backingfile", "inuse"),
            rows=tuple(
                (
                    row.image,
                    row.format,
                    size_text(row.virtual),
                    size_text(row.actual),
                    row.backing,
                    str(row.used).lower(),
                )
                for row in self.items
            ),
            ordered=True,
        )


class ShowDisk(Request[Images], frozen=True, kw_only=True, omit_defaults=True):
    """Show what a disk image is: a file of the cluster, or an absolute path of the head; `recursive` those beneath it too.

    Example: disk info data.qcow2
    """

    noun: ClassVar[str] = "disk"
    verb: ClassVar[str] = "info"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("disk info <image> [recursive?]",)
    reply: ClassVar[type[Reply]] = Images
    reads: ClassVar[bool] = True

    image: str
    recursive: bool = False
