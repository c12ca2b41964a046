"""The network of a simulated host: the Protocol of `shoal_worker.network`, in memory.

It keeps the rules of the real one (foreign links are refused, a tap needs its segment) and refuses to know
packets. A `SimulatedKernel` outlives the worker that uses it, as a real kernel does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from shoal.core.ifnames import host_tap_inner
from shoal.core.qos import Shaping
from shoal_worker.network import GuestTap, HostTap, Links, NetworkError, Segment, Uplink

if TYPE_CHECKING:
    from collections.abc import Iterable


#: a simulated host has its own connection, and two more network cards that are free
_INTERFACES = {"eth0": "it has the address 10.128.0.1/16", "eth1": "", "eth2": ""}


@dataclass(slots=True)
class SimulatedKernel:
    """The links of one simulated host. `foreign`: name → what it is, for the error that refuses to take it over.

    `foreign_vnis`: VNI → the foreign device that has it.
    """

    segments: dict[str, Segment] = field(default_factory=dict)
    guest_taps: dict[str, GuestTap] = field(default_factory=dict)
    host_taps: dict[str, HostTap] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    foreign_vnis: dict[int, str] = field(default_factory=dict)
    uplinks: dict[str, Uplink] = field(default_factory=dict)
    #: interfaces of the host's own, and why each can be no uplink (empty: it can)
    interfaces: dict[str, str] = field(default_factory=lambda: dict(_INTERFACES))
    #: what it lacks: `tbf`, `netem`, `vlan`
    lacks: set[str] = field(default_factory=set)


class SimulatedNetwork:
    """A worker's connection to a SimulatedKernel."""

    def __init__(self, kernel: SimulatedKernel) -> None:
        self._kernel = kernel
        self._open = False

    async def open(self) -> None:
        """Connect. A simulated kernel has all that is needed."""
        self._open = True

    async def observe(self) -> Links:
        """What is there now, in a value of its own."""
        kernel = self._connected()
        return Links(
            segments=dict(kernel.segments),
            guest_taps=dict(kernel.guest_taps),
            host_taps=dict(kernel.host_taps),
            uplinks=dict(kernel.uplinks),
        )

    async def ensure_segment(self, segment: Segment) -> None:
        """Make or change a segment. Raises NetworkError for a name or VNI that somebody else has."""
        kernel = self._connected()
        self._refuse_foreign(name for name in (segment.segment, segment.device) if name)
        self._refuse_other_kind(segment.segment, kernel.segments)
        owner = kernel.foreign_vnis.get(segment.vni) if segment.vni else None
        if owner is None and segment.vni:
            owner = next(
                (
                    other.device
                    for other in kernel.segments.values()
                    if other.segment != segment.segment
                    and (other.vni, other.udp_port) == (segment.vni, segment.udp_port)
                ),
                None,
            )
        if owner is not None:
            raise NetworkError(
                f"VNI {segment.vni} on UDP port {segment.udp_port} is taken by {owner}: "
                "remove it, or choose another first key or UDP port"
            )
        kernel.segments[segment.segment] = msgspec.structs.replace(segment, flaw="")

    async def ensure_guest_tap(self, tap: GuestTap) -> None:
        """Make or change a guest's tap. Raises NetworkError for a foreign name, a missing segment, missing parts of it."""
        kernel = self._connected()
        self._refuse_foreign([tap.tap])
        self._refuse_other_kind(tap.tap, kernel.guest_taps)
        self._need_segment(tap.tap, tap.segment)
        lacking = {"tbf" if tap.shaping.rate_bit_s else "netem"} & kernel.lacks
        if lacking and tap.shaping != Shaping():
            # the tap itself is made all the same, as the real adapter does it
            kernel.guest_taps[tap.tap] = msgspec.structs.replace(tap, shaping=Shaping(), flaw="")
            raise NetworkError(f"the kernel has no queue discipline {lacking.pop()}")
        kernel.guest_taps[tap.tap] = msgspec.structs.replace(tap, flaw="")

    async def ensure_host_tap(self, tap: HostTap) -> None:
        """Make or change a host tap. Raises NetworkError for a foreign name and for a missing segment."""
        kernel = self._connected()
        self._refuse_foreign([tap.tap, host_tap_inner(tap.tap)])
        self._refuse_other_kind(tap.tap, kernel.host_taps)
        self._need_segment(tap.tap, tap.segment)
        kernel.host_taps[tap.tap] = msgspec.structs.replace(tap, flaw="")

    async def ensure_uplink(self, uplink: Uplink) -> None:
        """Carry VLANs over an interface of the host's own. Raises NetworkError as the real adapter does."""
        kernel, name = self._connected(), uplink.interface
        why = kernel.interfaces.get(name, "there is no such interface")
        if why and name not in kernel.uplinks:
            raise NetworkError(f"{name} can be no uplink: {why}")
        if "vlan" in kernel.lacks:
            raise NetworkError("the kernel has no 802.1Q devices, which an uplink needs to tag its VLANs")
        for segment in uplink.segments.values():
            self._need_segment(name, segment)
        kernel.uplinks[name] = msgspec.structs.replace(uplink, flaw="")

    async def remove(self, names: frozenset[str]) -> None:
        """Remove our links of these names. Taps stay when their bridge goes, in no segment."""
        kernel = self._connected()
        for name in names:
            kernel.guest_taps.pop(name, None)
            kernel.host_taps.pop(name, None)
            kernel.uplinks.pop(name, None)
            if kernel.segments.pop(name, None) is not None:
                _release(kernel, name)
        for segment in tuple(kernel.segments.values()):
            if segment.device in names:
                kernel.segments[segment.segment] = Segment(segment=segment.segment)

    async def close(self) -> None:
        """Let go. Links stay in the SimulatedKernel."""
        self._open = False

    def _connected(self) -> SimulatedKernel:
        if not self._open:
            raise NetworkError("the network is not open")
        return self._kernel

    def _refuse_foreign(self, names: Iterable[str]) -> None:
        for name in names:
            if name in self._kernel.foreign:
                raise NetworkError(
                    f"the interface name {name} is taken by a {self._kernel.foreign[name]}, which is not ours: "
                    "remove or rename it"
                )

    def _refuse_other_kind(self, name: str, kind: object) -> None:
        kernel = self._kernel
        for table in (kernel.segments, kernel.guest_taps, kernel.host_taps):
            if table is not kind and name in table:
                raise NetworkError(f"{name} is another kind of link of ours: remove it first")

    def _need_segment(self, tap: str, segment: str) -> None:
        if segment and segment not in self._kernel.segments:
            raise NetworkError(f"{tap} cannot be put into the segment {segment}, which is not there")


def _release(kernel: SimulatedKernel, segment: str) -> None:
    for name, guest_tap in kernel.guest_taps.items():
        if guest_tap.segment == segment:
            kernel.guest_taps[name] = msgspec.structs.replace(guest_tap, segment="")
    for name, host_tap in kernel.host_taps.items():
        if host_tap.segment == segment:
            kernel.host_taps[name] = msgspec.structs.replace(host_tap, segment="")
    for name, uplink in kernel.uplinks.items():
        rest = {vlan: into for vlan, into in uplink.segments.items() if into != segment}
        kernel.uplinks[name] = msgspec.structs.replace(uplink, segments=rest)
