"""Commands about taps: interfaces of a host itself in a namespace's VLAN."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Cell, Display, Done, Reply, Request, Said, Table


class TapRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tap."""

    bridge: str
    tap: str
    vlan: int
    host: str = ""
    ip: str = ""
    alias: str = ""


def _vlan(tap: TapRow) -> Cell:
    return f"{tap.alias} ({tap.vlan})" if tap.alias else tap.vlan


class Taps(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The taps of a namespace."""

    items: tuple[TapRow, ...]

    def display(self) -> Display:
        """Show `bridge | tap | vlan`, `LAN (101)` or a number; `host`, `ip` and `alias` only when named."""
        return Table(
            columns=("bridge", "tap", "vlan", "host", "ip", "alias"),
            rows=tuple((i.bridge, i.tap, _vlan(i), i.host, i.ip, i.alias) for i in self.items),
            hidden=frozenset({"host", "ip", "alias"}),
        )


class ListTaps(Request[Taps], frozen=True, kw_only=True, omit_defaults=True):
    """List the namespace's host taps."""

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "list"
    words: ClassVar[tuple[str, ...]] = ("tap",)
    reply: ClassVar[type[Reply]] = Taps
    reads: ClassVar[bool] = True


class CreateTap(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Give the head (or another host) an interface in a VLAN; the answer is the tap's name.

    It is a network interface of that host's operating system, with the address that is given: programs there reach
    the VLAN's VMs through it, and are reached. In a lab that is in the network namespace of the host. With `dhcp` it
    asks the VLAN's DHCP server for an address, and takes an address only: no route, no resolver. An address without
    a prefix length is alone on its net (/32), as in minimega: write 10.0.0.254/24 to reach others of that net.

    Example: tap create LAN bridge foo ip 10.0.0.254/24
    """

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "create"
    words: ClassVar[tuple[str, ...]] = (
        "tap create <vlan> [on <host>]",
        "tap create <vlan> name <tap> [on <host>]",
        "tap create <vlan> ip <ip> [on <host>]",
        "tap create <vlan> ip <ip> <tap> [on <host>]",
        "tap create <vlan> dhcp? [on <host>]",
        "tap create <vlan> dhcp? <tap> [on <host>]",
        "tap create <vlan> bridge <bridge> [on <host>]",
        "tap create <vlan> bridge <bridge> name <tap> [on <host>]",
        "tap create <vlan> bridge <bridge> ip <ip> [on <host>]",
        "tap create <vlan> bridge <bridge> ip <ip> <tap> [on <host>]",
        "tap create <vlan> bridge <bridge> dhcp? [on <host>]",
        "tap create <vlan> bridge <bridge> dhcp? <tap> [on <host>]",
    )
    reply: ClassVar[type[Reply]] = Said

    vlan: str
    bridge: str = ""
    tap: str = ""
    ip: str = ""
    dhcp: bool = False
    host: str = ""


class DeleteTap(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Remove a host tap of the namespace, or `all` of them."""

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "delete"
    words: ClassVar[tuple[str, ...]] = ("tap delete <tap>",)

    tap: str


class ClearTaps(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """End all mirrors of the namespace, and remove all its host taps."""

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "clear"
    words: ClassVar[tuple[str, ...]] = ("clear tap",)


class MirrorTap(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Copy all that passes through one tap, both ways, to another tap of the same host.

    Taps are interfaces of VMs, by the VM's name and the interface's number (from 0) or by the tap's name in
    `vm info`, and host taps. A tap may have many mirrors, and is the mirror of one. The copies reach the guest or the
    host behind the mirror; its own traffic goes on.

    Example: tap mirror web1 0 monitor 0
    """

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "mirror"
    words: ClassVar[tuple[str, ...]] = (
        "tap mirror <source> <source_index> <target> <target_index>",
        "tap mirror <source> <target> [bridge]",
    )

    source: str
    target: str
    source_index: str = ""
    target_index: str = ""
    bridge: str = ""


class ClearMirrors(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """End a mirror, named by the tap, or the VM and its interface, that gets the copies; without a name, all.

    Example: clear tap mirror monitor 0
    """

    noun: ClassVar[str] = "tap"
    verb: ClassVar[str] = "clear-mirror"
    words: ClassVar[tuple[str, ...]] = ("clear tap mirror [target] [index]",)

    target: str = ""
    index: str = ""
