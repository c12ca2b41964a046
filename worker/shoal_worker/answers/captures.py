"""Answers about captures of this host's links.

Refuses to know the bus, and names of the cluster's files.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.errors import ShoalError
from shoal.messages.capture_requests import (
    AskCaptures,
    CheckFilter,
    CollectCaptures,
    EndCaptures,
    EndedCapture,
    EndedCaptures,
    ForgetCaptures,
    HeldCaptures,
    StartCapture,
)
from shoal.messages.host_requests import Text
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.capture_book import Kept
from shoal_worker.shelving import shelve_parts


async def start_capture(desk: Desk, request: StartCapture, _: Told) -> Text:
    """Begin to write packets."""
    await desk.captures.start(request.capture)
    return Text()


async def check_filter(desk: Desk, request: CheckFilter, _: Told) -> Text:
    """Have the filter read."""
    await desk.captures.recorder.check(request.filter)
    return Text()


async def held_captures(desk: Desk, _: AskCaptures, __: Told) -> HeldCaptures:
    """All captures."""
    return HeldCaptures(items=desk.captures.listed())


async def end_captures(desk: Desk, request: EndCaptures, told: Told) -> EndedCaptures:
    """End captures, and put what they came to into the store."""
    return await _collected(desk, await desk.captures.end(request.ids), told)


async def collect_captures(desk: Desk, _: CollectCaptures, told: Told) -> EndedCaptures:
    """Put into the store what waits for it."""
    return await _collected(desk, desk.captures.waiting(), told)


async def _collected(desk: Desk, kept: Iterable[Kept], told: Told) -> EndedCaptures:
    return EndedCaptures(items=tuple([await _collect(desk, each, told) for each in kept]))


async def _collect(desk: Desk, kept: Kept, told: Told) -> EndedCapture:
    capture = kept.capture
    if capture.path:
        return EndedCapture(capture=capture)
    try:
        content = await shelve_parts(
            desk.blobs, lambda: desk.captures.recorder.read(kept.recording), capture.name, told
        )
    except ShoalError as error:
        return EndedCapture(capture=capture, error=error.message)
    return EndedCapture(capture=capture, content=content)


async def forget_captures(desk: Desk, request: ForgetCaptures, _: Told) -> Text:
    """Remove what is left of captures."""
    await desk.captures.forget(request.ids)
    return Text()
