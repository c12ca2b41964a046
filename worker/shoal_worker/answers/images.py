"""Answers about disk images: empty ones, copies, what they are.

Refuses to know the bus, and names of the cluster's files.
"""

from __future__ import annotations

import asyncio

from shoal.messages.host_requests import Content
from shoal.messages.image_requests import CopyImage, ImageChain, LookAtImage, MakeImage
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.answers.media import located
from shoal_worker.shelving import shelve_parts


async def make_image(desk: Desk, request: MakeImage, told: Told) -> Content:
    """Make an empty image here, or put one into the store."""
    path = await desk.images.create(request.form, request.size, request.path)
    return Content() if request.path else await _shelved(desk, path, request.label, told)


async def copy_image(desk: Desk, request: CopyImage, told: Told) -> Content:
    """Make an image on top of another one here, or put a copy into the store."""
    if request.path:
        await desk.images.overlay(request.source, request.path)
        return Content()
    return await _shelved(desk, await desk.images.copy(request.source), request.label, told)


async def _shelved(desk: Desk, path: str, label: str, told: Told) -> Content:
    try:
        return await shelve_parts(desk.blobs, lambda: desk.images.read(path), label, told)
    finally:
        await asyncio.shield(desk.images.discard(path))


async def look_at_image(desk: Desk, request: LookAtImage, told: Told) -> ImageChain:
    """What an image here is, or one of the cluster's."""
    medium = request.medium
    path = await located(desk, medium, told) if medium.digest else medium.path
    return ImageChain(items=await desk.images.look(path))
