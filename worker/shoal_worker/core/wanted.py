"""Works out which links a host's desired state asks for, and which of the links that are there nobody needs.

This module refuses to know how links are made and VMs are created.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from shoal.core import ifnames
from shoal.core.qos import Shaping
from shoal.messages.desired import LaunchRecord, Port, SegmentRecord, TapRecord
from shoal_worker.core.actions import VMKey
from shoal_worker.core.desired import PRESENT, DesiredState
from shoal_worker.network import GuestTap, HostTap, Links, Segment, Uplink

#: more than any machine type has room for; see `ifnames.guest_tap`
_MAX_NICS = 100


#: VNI → the segment's record, and our part of it
Parts = Mapping[int, tuple[SegmentRecord, Segment]]


class Wanted(msgspec.Struct, frozen=True):
    """The links wanted now; what waits for a segment's record (VMs, host taps), and for which.

    `parts`: what the segments were worked out from.
    """

    links: Links
    waiting: dict[VMKey, str]
    waiting_taps: dict[VMKey, str]
    parts: Parts


class _Segments:
    """Our parts of the segments of one host, each worked out once for a record: that may name a thousand hosts."""

    def __init__(self, desired: DesiredState, underlay: str, before: Parts) -> None:
        self._desired = desired
        self._underlay = underlay
        self._before = before
        self.parts: dict[int, tuple[SegmentRecord, Segment]] = {}

    def numbered(self, vni: int) -> Segment | None:
        """The segment with this VNI; None when its record has not arrived."""
        record = self._desired.segment(vni)
        if record is None or record.removed:
            return None
        known = self.parts.get(vni) or self._before.get(vni)
        if known is None or known[0] is not record:
            known = (record, segment_of(record, self._desired.host, self._underlay))
        self.parts[vni] = known
        return known[1]

    def of(self, port: Port | TapRecord) -> Segment | None:
        """The segment that a port is in: None when its record has not arrived, or when it is disconnected."""
        if not port.vlan:
            return None
        return self.numbered(port.vni) if port.vni else Segment(segment=port.segment)

    def trunked(self, tap: TapRecord) -> dict[int, Segment]:
        """The segments that an uplink is in, by VLAN; those whose record has not arrived follow later."""
        found = {}
        for vlan, (vni, bridge) in tap.trunked().items():
            segment = self.numbered(vni) if vni else Segment(segment=bridge)
            if segment is not None:
                found[vlan] = segment
        return found


def wanted_links(
    desired: DesiredState, underlay: str, ended: frozenset[str], before: Parts | None = None
) -> Wanted:
    """The links that the records ask for. `underlay` is our own address; `ended` are instances without a guest.

    `before` are the parts of the last time, for the same host and underlay: it changes nothing but the work.

    An instance in `ended` keeps its segments, as the leader counts them, but needs no taps. A VM that waits for
    a segment has no links at all yet.
    """
    ours = _Segments(desired, underlay, before or {})
    segments: dict[str, Segment] = {}
    guest_taps: dict[str, GuestTap] = {}
    host_taps: dict[str, HostTap] = {}
    waiting: dict[VMKey, str] = {}
    waiting_taps: dict[VMKey, str] = {}
    uplinks: dict[str, Uplink] = {}
    #: tap that gets copies → tap whose traffic it gets
    mirrors: dict[str, str] = {}
    for record in desired.launches():
        if record.power not in PRESENT:
            continue
        ports = [(port, ours.of(port)) for port in record.ports]
        missing = [port for port, segment in ports if port.vlan and segment is None]
        if missing:
            waiting[record.namespace, record.name] = waiting_for(missing[0])
        segments.update((segment.segment, segment) for _, segment in ports if segment is not None)
        if not missing and record.instance not in ended:
            guest_taps.update((port.tap, _guest_tap(port)) for port in record.ports)
            mirrors.update((port.tap, port.mirror) for port in record.ports if port.mirror)
    for tap in desired.taps():
        if tap.removed:
            continue
        if tap.trunk:
            carried = ours.trunked(tap)
            segments.update((segment.segment, segment) for segment in carried.values())
            uplinks[tap.tap] = Uplink(
                interface=tap.tap, segments={vlan: segment.segment for vlan, segment in carried.items()}
            )
            continue
        segment = ours.of(tap)
        if segment is None:
            waiting_taps[tap.namespace, tap.tap] = waiting_for(tap)
            continue
        segments[segment.segment] = segment
        host_taps[tap.tap] = HostTap(tap=tap.tap, segment=tap.segment, ip=tap.ip)
        if tap.mirror:
            mirrors[tap.tap] = tap.mirror
    for source, copies in _sources(mirrors).items():
        if source in guest_taps:
            guest_taps[source] = replace(guest_taps[source], copies=copies)
        elif source in host_taps:
            host_taps[source] = replace(host_taps[source], copies=copies)
    links = Links(segments=segments, guest_taps=guest_taps, host_taps=host_taps, uplinks=uplinks)
    return Wanted(links, waiting, waiting_taps, ours.parts)


def _guest_tap(port: Port) -> GuestTap:
    return GuestTap(
        tap=port.tap,
        segment=port.segment if port.vlan else "",
        shaping=port.qos.shaping() if port.qos else Shaping(),
    )


def _sources(mirrors: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """From which tap each mirror's tap gets copies, turned around: to which taps each source is copied."""
    found: dict[str, set[str]] = {}
    for target, source in mirrors.items():
        found.setdefault(source, set()).add(target)
    return {source: frozenset(targets) for source, targets in found.items()}


def waiting_for(port: Port | TapRecord) -> str:
    """The reason why something waits, for a person."""
    return f"waiting for segment {port.bridge}/{port.vlan} (VNI {port.vni})"


def segment_of(record: SegmentRecord, host: str, underlay: str) -> Segment:
    """Our part of a segment: the peers are the others' addresses."""
    local = underlay or record.peers.get(host, "")
    others = {address for name, address in record.peers.items() if name != host and address}
    return Segment(
        segment=record.segment,
        vni=record.vni,
        device=record.device,
        local=local,
        udp_port=record.udp_port,
        peers=frozenset(others - {local}),
    )


def kept(wanted: Links, observed: Links) -> Links:
    """`observed`, with what is wanted in its place: as desired links this makes and mends, and removes nothing."""
    return Links(
        segments={**observed.segments, **wanted.segments},
        guest_taps={**observed.guest_taps, **wanted.guest_taps},
        host_taps={**observed.host_taps, **wanted.host_taps},
        uplinks={**observed.uplinks, **wanted.uplinks},
    )


def taps_of_orphan(instance: str) -> frozenset[str]:
    """The names that the taps of an instance can have, when no record tells."""
    return frozenset(ifnames.guest_tap(instance, index) for index in range(_MAX_NICS))


def unneeded(
    wanted: Links, observed: Links, guests_taps: Iterable[str], removed_taps: Iterable[TapRecord]
) -> frozenset[str]:
    """The names of observed links to remove: not wanted, used by no guest, and for host taps: removed by a record.

    `guests_taps` are the taps of all guests that there are, wanted or not: they keep their segments too.
    """
    using = set(guests_taps)
    guest_taps = observed.guest_taps.keys() - wanted.guest_taps.keys() - using
    removed = {record.tap for record in removed_taps}
    host_taps = (observed.host_taps.keys() & removed) - wanted.host_taps.keys()
    uplinks = (observed.uplinks.keys() & removed) - wanted.uplinks.keys()
    staying = _segments_of(observed.guest_taps, guest_taps) | _segments_of(observed.host_taps, host_taps)
    for name in observed.uplinks.keys() - uplinks:
        uplink = wanted.uplinks.get(name, observed.uplinks[name])
        staying |= set(uplink.segments.values())
    segments = observed.segments.keys() - wanted.segments.keys() - staying
    return frozenset(guest_taps | host_taps | uplinks | segments)


def _segments_of(taps: Mapping[str, GuestTap] | Mapping[str, HostTap], leaving: set[str]) -> set[str]:
    return {tap.segment for name, tap in taps.items() if name not in leaving}


def links_of(record: LaunchRecord) -> tuple[str, ...]:
    """The names of the links that a VM cannot do without, segments first: what is wrong there breaks the taps."""
    segments = [port.segment for port in record.ports if port.vlan]
    return (*segments, *(port.tap for port in record.ports))


def links_about(record: LaunchRecord) -> tuple[str, ...]:
    """The names of all links that a VM's record asks something of: its own, and those whose traffic it is to get."""
    return (*links_of(record), *(port.mirror for port in record.ports if port.mirror))
