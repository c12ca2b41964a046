"""What the leader asks of a worker when records are rebuilt: everything that the host holds.

This module refuses to know what becomes of it. See `shoal.messages.host_requests`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.desired import LaunchRecord, Role, SegmentRecord, TapRecord, TapStatus, VMStatus
from shoal.messages.host_requests import HostRequest


class HeldRecords(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A page of what a host holds: its own data as in its claim, the latest record of each VM and tap that it has heard
    of, and what it knows of them.

    `vms` has the revision that was carried out of each instance, and its state now; `gone` ones were ended for good.
    `seen_store` is the store that the host obeyed last. `next` continues.
    """

    incarnation: str
    role: Role = "host"
    underlay: str = ""
    machine: str = ""
    version: str = ""
    seen_store: str = ""
    launches: tuple[LaunchRecord, ...] = ()
    taps: tuple[TapRecord, ...] = ()
    segments: tuple[SegmentRecord, ...] = ()
    vms: tuple[VMStatus, ...] = ()
    tap_states: tuple[TapStatus, ...] = ()
    next: str = ""


class ListHeld(HostRequest[HeldRecords], frozen=True, kw_only=True, omit_defaults=True):
    """What a host holds, from the item after `after` on."""

    verb: ClassVar[str] = "held"
    answer: ClassVar[type[msgspec.Struct]] = HeldRecords

    after: str = ""
