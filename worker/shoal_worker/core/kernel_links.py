"""Reads from the kernel's links which segments and taps of Shoal a host has, and how each link says whose it is.

This module refuses to know netlink: it takes links as plain values, from one dump of links, addresses and FDB.

Every link of ours bears a mark in its `ifalias`:

====================  ======================================================================================
`shoal:bridge`        the Linux bridge of a segment
`shoal:vxlan BRIDGE`  its VXLAN device
`shoal:guest`         a guest's tap
`shoal:host IP`       the outer end of a host tap, with the address that we gave it (further ones are not ours)
`shoal:inner TAP`     the end of that pair in the bridge
`shoal:uplink NAME`   one VLAN of the host's own interface of that name
====================  ======================================================================================

The kernel takes the link group when it makes a link, but the alias only afterwards. So a link of our group without
any alias is one of ours that was left half made; with a foreign alias it is foreign.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoal.core.ifnames import MARK, host_tap_inner
from shoal_worker.core.queue_messages import Queueing
from shoal_worker.network import GuestTap, HostTap, Links, Segment, Uplink

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: the link group that all our links are made in, and the one that doomed links are moved to
GROUP = 0x5348
DOOMED_GROUP = 0x5349

MTU = 1500

_HALF_MADE = "half made"


@dataclass(frozen=True, slots=True)
class KernelLink:
    """One link as the kernel shows it. `master` and `peer` are indices, 0 for none; the last three are VXLAN's.

    The `peer` of an 802.1Q device is the link below it, `vlan` its tag.
    """

    index: int
    name: str
    kind: str
    alias: str = ""
    group: int = 0
    up: bool = True
    mtu: int = MTU
    master: int = 0
    peer: int = 0
    snooping: bool = False
    vlan: int = 0
    vni: int = 0
    local: str = ""
    udp_port: int = 0

    @property
    def ours(self) -> bool:
        """Whether we made it."""
        return self.alias.startswith(MARK) or self.half_made

    @property
    def half_made(self) -> bool:
        """Whether we were interrupted before we could mark it."""
        return not self.alias and self.group in {GROUP, DOOMED_GROUP}

    @property
    def mark(self) -> tuple[str, str]:
        """What our mark says: a word and its argument. Two empty texts for a link without."""
        if not self.alias.startswith(MARK):
            return ("", "")
        word, _, argument = self.alias.removeprefix(MARK).partition(" ")
        return (word, argument)

    def describe(self) -> str:
        """Name it to a person who wonders whose it is."""
        alias = f" with the alias {self.alias!r}" if self.alias else ""
        return f"{self.kind or 'device'} {self.name}{alias}"


def bridge_mark() -> str:
    """The alias of a segment's bridge."""
    return f"{MARK}bridge"


def vxlan_mark(bridge: str) -> str:
    """The alias of the VXLAN device of the segment `bridge`."""
    return f"{MARK}vxlan {bridge}"


def guest_mark() -> str:
    """The alias of a guest's tap."""
    return f"{MARK}guest"


def host_mark(ip: str) -> str:
    """The alias of a host tap's outer end that was given the address `ip` (`address/prefix`, or empty)."""
    return f"{MARK}host {ip}".rstrip()


def inner_mark(tap: str) -> str:
    """The alias of the inner end of the host tap `tap`."""
    return f"{MARK}inner {tap}"


def uplink_mark(interface: str) -> str:
    """The alias of a VLAN's device on the host's own `interface`."""
    return f"{MARK}uplink {interface}"


def canonical_ip(ip: str) -> str:
    """`address/prefix` as the kernel prints it, so that two spellings compare equal. Raises ValueError."""
    return ipaddress.ip_interface(ip).with_prefixlen


def assemble(
    links: Iterable[KernelLink],
    floods: Mapping[int, frozenset[str]],
    addresses: Mapping[int, frozenset[str]],
    queues: Mapping[int, Queueing] | None = None,
) -> Links:
    """What of ours is there. `floods`: index → peers of all-zero FDB entries; `addresses`: index → canonical IPs;
    `queues`: index → shaping and copies.

    Whatever is ours and fits nowhere appears as an object of its own name with a `flaw`, so that the difference to
    any desired state removes it.
    """
    ours = {link.name: link for link in links if link.ours}
    found = _Assembly(ours, {link.index: link.name for link in links}, floods, addresses, queues or {})
    for link in sorted(ours.values(), key=lambda link: link.index):
        found.add(link)
    return Links(
        segments=found.segments, guest_taps=found.guest_taps, host_taps=found.host_taps, uplinks=found.uplinks
    )


class _Assembly:
    """The three tables while they are filled."""

    def __init__(
        self,
        ours: dict[str, KernelLink],
        names: dict[int, str],
        floods: Mapping[int, frozenset[str]],
        addresses: Mapping[int, frozenset[str]],
        queues: Mapping[int, Queueing],
    ) -> None:
        self._ours = ours
        self._names = names
        self._floods = floods
        self._addresses = addresses
        self._queues = queues
        self._devices = {link.mark[1]: link for link in ours.values() if link.mark[0] == "vxlan"}
        self.segments: dict[str, Segment] = {}
        self.guest_taps: dict[str, GuestTap] = {}
        self.host_taps: dict[str, HostTap] = {}
        self.uplinks: dict[str, Uplink] = {}

    def add(self, link: KernelLink) -> None:
        """Put one link where its mark says; the ends of a pair and the parts of a segment only once."""
        word, argument = link.mark
        if word == "guest" and link.kind == "tun":
            queue = self._queues.get(link.index, Queueing())
            self.guest_taps[link.name] = GuestTap(
                tap=link.name,
                segment=self._names.get(link.master, ""),
                shaping=queue.shaping,
                copies=self._taps(queue.copies),
                flaw=_flaw(link) or queue.flaw,
            )
        elif word == "host" and link.kind == "veth":
            self.host_taps[link.name] = self._host_tap(link, argument)
        elif word == "inner" and link.kind == "veth":
            if argument not in self._ours:
                self.host_taps[argument] = HostTap(tap=argument, segment="", flaw="its outer end is gone")
        elif word == "bridge" and link.kind == "bridge":
            self.segments[link.name] = self._segment(link, self._devices.get(link.name))
        elif word == "vxlan" and link.kind == "vxlan" and self._devices[argument] is link:
            if argument not in self._ours:
                self.segments[argument] = Segment(
                    segment=argument, device=link.name, flaw="its bridge is gone"
                )
        elif word == "uplink" and link.kind == "vlan":
            self._add_uplink(link, argument)
        elif link.kind == "veth":
            self.host_taps[link.name] = HostTap(tap=link.name, segment="", flaw=_HALF_MADE)
        elif link.kind == "tun":
            self.guest_taps[link.name] = GuestTap(tap=link.name, segment="", flaw=_HALF_MADE)
        else:
            self.segments[link.name] = Segment(segment=link.name, flaw=_HALF_MADE)

    def _add_uplink(self, link: KernelLink, interface: str) -> None:
        known = self.uplinks.get(interface, Uplink(interface=interface))
        astray = "" if self._names.get(link.peer) == interface else f"{link.name} is not on {interface}"
        self.uplinks[interface] = Uplink(
            interface=interface,
            segments={**known.segments, link.vlan: self._names.get(link.master, "")},
            flaw=known.flaw or astray or _flaw(link),
        )

    def _segment(self, bridge: KernelLink, device: KernelLink | None) -> Segment:
        flaw = _flaw(bridge) or (f"{bridge.name} snoops on multicast" if bridge.snooping else "")
        if device is None:
            return Segment(segment=bridge.name, flaw=flaw)
        if device.master != bridge.index:
            flaw = flaw or f"{device.name} is not in {bridge.name}"
        return Segment(
            segment=bridge.name,
            vni=device.vni,
            device=device.name,
            local=device.local,
            udp_port=device.udp_port,
            peers=self._floods.get(device.index, frozenset()),
            flaw=flaw or _flaw(device),
        )

    def _host_tap(self, outer: KernelLink, ip: str) -> HostTap:
        inner = self._ours.get(host_tap_inner(outer.name))
        if inner is None or outer.peer != inner.index:
            return HostTap(tap=outer.name, segment="", ip=ip, flaw="its inner end is gone")
        flaw = _flaw(outer) or _flaw(inner)
        if ip and not _bears(ip, self._addresses.get(outer.index, frozenset())):
            flaw = flaw or f"{outer.name} lost its address"
        queue = self._queues.get(inner.index, Queueing())
        return HostTap(
            tap=outer.name,
            segment=self._names.get(inner.master, ""),
            ip=ip,
            copies=self._taps(queue.copies),
            flaw=flaw or queue.flaw,
        )

    def _taps(self, indices: frozenset[int]) -> frozenset[str]:
        """The taps that have these links in a bridge; what is none is named so that it is nobody's wish."""
        found = set()
        for index in indices:
            link = self._ours.get(self._names.get(index, ""))
            inner = link is not None and link.mark[0] == "inner"
            found.add(link.mark[1] if inner and link else link.name if link else f"(link {index})")
        return frozenset(found)


def _bears(ip: str, addresses: frozenset[str]) -> bool:
    try:
        return canonical_ip(ip) in addresses
    except ValueError:  # somebody wrote into our mark
        return False


def _flaw(link: KernelLink) -> str:
    if link.half_made:
        return f"{link.name} is half made"
    if not link.up:
        return f"{link.name} is down"
    if link.mtu != MTU:
        return f"{link.name} has MTU {link.mtu}"
    return "" if link.group == GROUP else f"{link.name} is in group {link.group}"
