"""Computes what turns the links that a host has into the links that it should have.

This module refuses to know netlink and how links are made: it compares two `Links` values. What it returns leaves
no choice: whoever carries it out goes through the actions in order. Removals come first, because a number or a
name may go from one link to another; segments come before the taps that are put into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal_worker.network import GuestTap, HostTap, Links, Segment, Uplink


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove our links of these names, in one go, since the kernel waits for each single removal."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class EnsureSegment:
    """Make or mend a segment."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class EnsureGuestTap:
    """Make, mend or move a guest's tap."""

    tap: GuestTap


@dataclass(frozen=True, slots=True)
class EnsureHostTap:
    """Make or mend a host tap."""

    tap: HostTap


@dataclass(frozen=True, slots=True)
class EnsureUplink:
    """Make or mend the VLANs of an uplink."""

    uplink: Uplink


Action = Remove | EnsureSegment | EnsureGuestTap | EnsureHostTap | EnsureUplink


def diff(desired: Links, observed: Links) -> tuple[Action, ...]:
    """What is to be done, in order, so that `observed` becomes `desired`; nothing when they are equal.

    A VXLAN device whose number, port or name is wrong is removed alone: its bridge, and the taps in it, stay.
    """
    actions: list[Action] = []
    doomed = _unwanted(desired, observed) | _outdated_devices(desired, observed)
    if doomed:
        actions.append(Remove(doomed))
    actions += [
        EnsureSegment(segment)
        for name, segment in sorted(desired.segments.items())
        if observed.segments.get(name) != segment
    ]
    taps: list[EnsureGuestTap | EnsureHostTap] = [
        EnsureGuestTap(tap)
        for name, tap in sorted(desired.guest_taps.items())
        if observed.guest_taps.get(name) != tap
    ]
    taps += [
        EnsureHostTap(tap)
        for name, tap in sorted(desired.host_taps.items())
        if observed.host_taps.get(name) != tap
    ]
    # what is copied somewhere comes after what the copies go to
    uplinks = [
        EnsureUplink(uplink)
        for name, uplink in sorted(desired.uplinks.items())
        if observed.uplinks.get(name) != uplink
    ]
    return (*actions, *sorted(taps, key=lambda action: bool(action.tap.copies)), *uplinks)


def _unwanted(desired: Links, observed: Links) -> frozenset[str]:
    """Names that are there and not wanted, or wanted as something else."""
    return frozenset(
        (observed.segments.keys() - desired.segments.keys())
        | (observed.guest_taps.keys() - desired.guest_taps.keys())
        | (observed.host_taps.keys() - desired.host_taps.keys())
        | (observed.uplinks.keys() - desired.uplinks.keys())
    )


def _outdated_devices(desired: Links, observed: Links) -> frozenset[str]:
    """VXLAN devices of wanted segments that cannot be mended: the kernel changes neither number nor port."""
    return frozenset(
        there.device
        for name, there in observed.segments.items()
        if there.device and name in desired.segments and _tunnel(there) != _tunnel(desired.segments[name])
    )


def _tunnel(segment: Segment) -> tuple[str, int, int]:
    return (segment.device, segment.vni, segment.udp_port)
