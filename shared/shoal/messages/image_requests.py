"""What the leader asks of a worker about disk images that no guest need have.

This module refuses to know which worker is asked, and how it looks into images. See `shoal.messages.host_requests`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.disks import ImageRow
from shoal.messages.host_requests import Content, HostRequest, Medium


class MakeImage(HostRequest[Content], frozen=True, kw_only=True, omit_defaults=True):
    """Make an empty image of `size` bytes: at `path` of the host, or (empty) in the file store."""

    verb: ClassVar[str] = "make-image"
    answer: ClassVar[type[msgspec.Struct]] = Content

    form: str
    size: int
    path: str = ""
    label: str = ""


class CopyImage(HostRequest[Content], frozen=True, kw_only=True, omit_defaults=True):
    """Copy the image at `source` of the host into the file store, without others; or make one on top of it at `path`."""

    verb: ClassVar[str] = "copy-image"
    answer: ClassVar[type[msgspec.Struct]] = Content

    source: str
    path: str = ""
    label: str = ""


class ImageChain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image, and those beneath it."""

    items: tuple[ImageRow, ...] = ()


class LookAtImage(HostRequest[ImageChain], frozen=True, kw_only=True, omit_defaults=True):
    """What an image is, and those beneath it are."""

    verb: ClassVar[str] = "look-at-image"
    answer: ClassVar[type[msgspec.Struct]] = ImageChain

    medium: Medium
