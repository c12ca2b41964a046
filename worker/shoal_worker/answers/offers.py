"""Answers with files of the head's files directory, which anybody may launch VMs with.

Refuses to know the bus, and who asks.
"""

from __future__ import annotations

import asyncio

from shoal.core.files import check_file
from shoal.errors import Refused
from shoal.messages.host_requests import Content, OfferFile
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.shelving import parts_of, shelve_parts


async def offer_file(desk: Desk, request: OfferFile, told: Told) -> Content:
    """Put a file of the directory into the store; without a digest when there is none of that name."""
    name = check_file(request.name)
    if desk.offered is None:
        return Content()
    path = desk.offered / name
    try:
        if not await asyncio.to_thread(path.is_file):
            return Content()
    except OSError as error:
        raise Refused(f"cannot read {path} on host {desk.host}: {error.strerror or error}") from error
    return await shelve_parts(desk.blobs, lambda: parts_of(path), name, told)
