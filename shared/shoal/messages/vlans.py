"""Commands about VLANs and the bridges of a namespace."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Done, Reply, Request, Table


class VLANRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alias and its number."""

    alias: str
    vlan: int


class VLANs(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The VLAN aliases of a namespace."""

    items: tuple[VLANRow, ...]

    def display(self) -> Display:
        """Show `alias | vlan`."""
        return Table(columns=("alias", "vlan"), rows=tuple((i.alias, i.vlan) for i in self.items))


class ListVLANs(Request[VLANs], frozen=True, kw_only=True, omit_defaults=True):
    """List the namespace's VLAN aliases and their numbers."""

    noun: ClassVar[str] = "vlans"
    verb: ClassVar[str] = "list"
    words: ClassVar[tuple[str, ...]] = ("vlans",)
    reply: ClassVar[type[Reply]] = VLANs
    reads: ClassVar[bool] = True


class AddVLAN(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Give a VLAN number to an alias, instead of the lowest free one.

    Example: vlans add LAN 200
    """

    noun: ClassVar[str] = "vlans"
    verb: ClassVar[str] = "add"
    words: ClassVar[tuple[str, ...]] = ("vlans add <alias> <vlan>",)

    alias: str
    vlan: str


class VLANRange(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers for a namespace's aliases: from `low` to before `high`, and what the next alias gets (0: none left).

    No numbers: the namespace has no range of its own, or one was set just now.
    """

    low: int = 0
    high: int = 0
    next_free: int = 0

    def display(self) -> Display:
        """Show `min | max | next`."""
        row = (self.low, self.high, self.next_free or None)
        return Table(columns=("min", "max", "next"), rows=(row,) if self.high else ())


class SetVLANRange(Request[VLANRange], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set the range from which the namespace's aliases get their numbers; it ends before its second number.

    Example: vlans range 100 199
    """

    noun: ClassVar[str] = "vlans"
    verb: ClassVar[str] = "range"
    words: ClassVar[tuple[str, ...]] = ("vlans range", "vlans range <low> <high>")
    reply: ClassVar[type[Reply]] = VLANRange

    low: str = ""
    high: str = ""


class Blacklist(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """VLAN numbers that no alias is given; none when one was added just now."""

    items: tuple[int, ...] = ()

    def display(self) -> Display:
        """Show a column of numbers."""
        return Table(columns=("vlan",), rows=tuple((vlan,) for vlan in self.items))


class BlacklistVLAN(Request[Blacklist], frozen=True, kw_only=True, omit_defaults=True):
    """Show or add to the VLAN numbers that no alias of the whole cluster is given."""

    noun: ClassVar[str] = "vlans"
    verb: ClassVar[str] = "blacklist"
    words: ClassVar[tuple[str, ...]] = ("vlans blacklist [vlan]",)
    reply: ClassVar[type[Reply]] = Blacklist

    vlan: str = ""


class ClearVLANs(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Forget the namespace's VLAN aliases, or those that begin with a prefix; `all` forgets the range too.

    Aliases that VMs or taps still use are kept, and named.
    """

    noun: ClassVar[str] = "vlans"
    verb: ClassVar[str] = "clear"
    words: ClassVar[tuple[str, ...]] = ("clear vlans [prefix]",)

    prefix: str = ""


class AddBridge(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Make a private bridge that spans the namespace's hosts: VXLAN tunnels with a key of its own.

    The same name in another namespace is another bridge. VMs get onto it by `vm config networks <bridge>,<vlan>`,
    the head by `tap create <vlan> bridge <bridge>`.

    Example: ns bridge foo
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "bridge"
    words: ClassVar[tuple[str, ...]] = ("ns bridge <bridge> [kind:vxlan,gre]",)

    bridge: str
    kind: str = "vxlan"


class RemoveBridge(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Remove a private bridge; refused while running VMs or taps are on it unless `force`."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "del-bridge"
    words: ClassVar[tuple[str, ...]] = ("ns del-bridge <bridge> [force?]",)

    bridge: str
    force: bool = False
