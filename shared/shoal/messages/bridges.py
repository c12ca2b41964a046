"""Commands about bridges as users name them, and their uplinks."""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Done, Reply, Request, Table
from shoal.messages.vlans import VLANRow


class UplinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """An interface of a host that carries a bridge's VLANs."""

    interface: str
    host: str


class BridgeRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One bridge: its VLANs with the namespace's aliases (or nothing), its uplinks, its tunnel devices."""

    bridge: str
    vlans: tuple[VLANRow, ...] = ()
    uplinks: tuple[UplinkRow, ...] = ()
    tunnels: tuple[str, ...] = ()
    #: how it is built: `kind` and `key`; nothing for a plain bridge
    config: dict[str, str] = {}


def _listed(values: list[str]) -> str:
    return "[" + ", ".join(values) + "]"


class Bridges(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The bridges that a namespace uses."""

    items: tuple[BridgeRow, ...]

    def display(self) -> Display:
        """Show the peer's columns; uplinks with their host, as VLANs are shown with their number."""
        return Table(
            columns=("bridge", "preexisting", "vlans", "trunks", "tunnels", "config"),
            rows=tuple(
                (
                    row.bridge,
                    "false",
                    _listed([f"{v.alias} ({v.vlan})" if v.alias else str(v.vlan) for v in row.vlans]),
                    _listed([f"{uplink.interface} ({uplink.host})" for uplink in row.uplinks]),
                    _listed(list(row.tunnels)),
                    json.dumps(row.config, sort_keys=True, separators=(",", ":")),
                )
                for row in self.items
            ),
        )


class ListBridges(Request[Bridges], frozen=True, kw_only=True, omit_defaults=True):
    """List the bridges that the namespace's VMs and taps use, and its private ones.

    Trunks are uplinks, interfaces of a host in the bridge; tunnels are the VXLAN devices on its hosts.
    """

    noun: ClassVar[str] = "bridge"
    verb: ClassVar[str] = "list"
    words: ClassVar[tuple[str, ...]] = ("bridge",)
    reply: ClassVar[type[Reply]] = Bridges
    reads: ClassVar[bool] = True


class AddTrunk(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Give a bridge an uplink: an interface of the head, or of another host, that carries its VLANs with 802.1Q tags.

    The interface must be up and free: without an address, the default route, and a bridge of its own. A bridge that
    spans hosts has one uplink, since a second one to the same network would be a loop. Needs a kernel with 802.1Q.

    Example: bridge trunk lan eth1 on mm1
    """

    noun: ClassVar[str] = "bridge"
    verb: ClassVar[str] = "trunk"
    words: ClassVar[tuple[str, ...]] = ("bridge trunk <bridge> <interface> [on <host>]",)

    bridge: str
    interface: str
    host: str = ""


class RemoveTrunk(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Take an uplink from a bridge. The interface itself stays as it is.

    Example: bridge notrunk lan eth1 on mm1
    """

    noun: ClassVar[str] = "bridge"
    verb: ClassVar[str] = "notrunk"
    words: ClassVar[tuple[str, ...]] = ("bridge notrunk <bridge> <interface> [on <host>]",)

    bridge: str
    interface: str
    host: str = ""
