"""What the reconciler needs of a host's network: a Protocol, and the values that cross it.

This module refuses to know netlink, namespaces of the kernel, NATS and desired records. `netlink_network` is the
real thing, `simulated` its twin. `core/links.py` computes the difference of two `Links` values.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from shoal.core.qos import Shaping


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One VLAN of one bridge on this host: a Linux bridge, and a VXLAN device in it unless `vni` is 0.

    `peers` are the underlay addresses of the other hosts in it (head-end replication); `local` is our own.
    `flaw` is only ever observed: what is wrong with it (down, half made, …) and `ensure_segment` would mend.
    """

    segment: str
    vni: int = 0
    device: str = ""
    local: str = ""
    udp_port: int = 4789
    peers: frozenset[str] = frozenset()
    flaw: str = ""


class GuestTap(msgspec.Struct, frozen=True, kw_only=True):
    """A tap for a guest's interface, persistent and up, in `segment` (empty: disconnected, in no bridge).

    `shaping` is for what goes to the guest. All that passes through it either way is copied to the taps `copies`, as
    far as they are there. `flaw`: see Segment.
    """

    tap: str
    segment: str
    shaping: Shaping = Shaping()
    copies: frozenset[str] = frozenset()
    flaw: str = ""


class HostTap(msgspec.Struct, frozen=True, kw_only=True):
    """A veth pair whose outer end is the host's: it bears the name `tap`, and `ip` (`address/prefix`) if any.

    `copies`: see GuestTap. `flaw`: see Segment.
    """

    tap: str
    segment: str
    ip: str = ""
    copies: frozenset[str] = frozenset()
    flaw: str = ""


class Uplink(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of the host's own that carries VLANs with IEEE 802.1Q tags: VLAN → the segment that it is in.

    The interface is never ours: only a device for each VLAN is. `flaw`: see Segment.
    """

    interface: str
    segments: dict[int, str] = {}
    flaw: str = ""


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """The links that bear our mark, or that should be there; each by its name."""

    segments: dict[str, Segment] = {}
    guest_taps: dict[str, GuestTap] = {}
    host_taps: dict[str, HostTap] = {}
    uplinks: dict[str, Uplink] = {}


class NetworkError(Exception):
    """The kernel refused. One line: what on which interface, and why; `taken` names of foreign links say whose."""


class Network(Protocol):
    """The network of one host. `apply` of each kind is idempotent: what is there and right is left alone.

    Only links that bear our mark are changed or removed. A foreign link of a wanted name: NetworkError.
    """

    async def open(self) -> None:
        """Connect to the kernel. Raises NetworkError without the privilege or the modules that we need."""
        ...

    async def observe(self) -> Links:
        """List our links as they are: one dump of links, addresses and FDB."""
        ...

    async def ensure_segment(self, segment: Segment) -> None:
        """Make or mend bridge, VXLAN device and flood entries; peers that are not listed are removed."""
        ...

    async def ensure_guest_tap(self, tap: GuestTap) -> None:
        """Make the tap, move it to another segment, shape and copy, without taking it from a running guest."""
        ...

    async def ensure_host_tap(self, tap: HostTap) -> None:
        """Make the pair, or mend segment and address."""
        ...

    async def ensure_uplink(self, uplink: Uplink) -> None:
        """Make, mend and remove the devices of an uplink's VLANs, and put them into their segments.

        NetworkError for an interface that is not there, is used for something else, or when the kernel has no VLANs.
        """
        ...

    async def remove(self, names: frozenset[str]) -> None:
        """Remove our links of these names (a segment's and an uplink's with their devices), fast; missing ones are fine."""
        ...

    async def close(self) -> None:
        """Let go of the socket. Links stay."""
        ...
