"""Which function answers which question to this host: one line for each class of `shoal.messages.host_requests`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from shoal.messages.capture_requests import (
    AskCaptures,
    CheckFilter,
    CollectCaptures,
    EndCaptures,
    ForgetCaptures,
    StartCapture,
)
from shoal.messages.health_requests import AskHealth
from shoal.messages.host_requests import (
    AttachInterface,
    ChangeMedium,
    HostRequest,
    ListDrives,
    MeasureGuests,
    OfferFile,
    PlugDrive,
    RunProgram,
    RunQMP,
    SaveGuest,
    TakeScreenshot,
    UnplugDrives,
)
from shoal.messages.image_requests import CopyImage, LookAtImage, MakeImage
from shoal.messages.repair_requests import ListHeld
from shoal_worker.answering import Answer, Told
from shoal_worker.answers import captures, guests, health, holding, images, media, offers, programs, saving
from shoal_worker.answers.desk import Desk

ANSWERS: Mapping[type[HostRequest[Any]], Callable[[Desk, Any, Told], Awaitable[Any]]] = {
    RunQMP: guests.run_qmp,
    TakeScreenshot: guests.take_screenshot,
    MeasureGuests: guests.measure,
    SaveGuest: saving.save_guest,
    MakeImage: images.make_image,
    CopyImage: images.copy_image,
    LookAtImage: images.look_at_image,
    AttachInterface: media.attach_interface,
    ChangeMedium: media.change_medium,
    PlugDrive: media.plug_drive,
    UnplugDrives: media.unplug_drives,
    ListDrives: media.list_drives,
    StartCapture: captures.start_capture,
    CheckFilter: captures.check_filter,
    AskCaptures: captures.held_captures,
    EndCaptures: captures.end_captures,
    CollectCaptures: captures.collect_captures,
    ForgetCaptures: captures.forget_captures,
    RunProgram: programs.run_program,
    OfferFile: offers.offer_file,
    AskHealth: health.ask_health,
    ListHeld: holding.list_held,
}


def answers_of(desk: Desk) -> dict[type[HostRequest[Any]], Answer]:
    """The functions, with what they work on."""
    return {kind: partial(function, desk) for kind, function in ANSWERS.items()}
