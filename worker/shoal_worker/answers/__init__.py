"""Which function answers which question to this host: one line for each class of `shoal.messages.host_requests`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from shoal.messages.host_requests import (
    ChangeMedium,
    HostRequest,
    ListDrives,
    MeasureGuests,
    PlugDrive,
    RunQMP,
    TakeScreenshot,
    UnplugDrives,
)
from shoal_worker.answering import Answer, Told
from shoal_worker.answers import guests, media
from shoal_worker.answers.desk import Desk

ANSWERS: Mapping[type[HostRequest[Any]], Callable[[Desk, Any, Told], Awaitable[Any]]] = {
    RunQMP: guests.run_qmp,
    TakeScreenshot: guests.take_screenshot,
    MeasureGuests: guests.measure,
    ChangeMedium: media.change_medium,
    PlugDrive: media.plug_drive,
    UnplugDrives: media.unplug_drives,
    ListDrives: media.list_drives,
}


def answers_of(desk: Desk) -> dict[type[HostRequest[Any]], Answer]:
    """The functions, with what they work on."""
    return {kind: partial(function, desk) for kind, function in ANSWERS.items()}
