"""Commands about captures: packets of VMs' interfaces and of the namespace's segments, written into files."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from shoal.messages.base import Display, Reply, Request, Said, Table
from shoal.messages.capture_requests import CaptureState

#: the number of a VM's interface
Index = Annotated[int, msgspec.Meta(extra={"error": "invalid interface: `{word}`"})]
#: how much of a packet is kept
Length = Annotated[int, msgspec.Meta(extra={"error": 'strconv.ParseUint: parsing "{word}": invalid syntax'})]


class CaptureRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One capture. `vm` is empty for one of a whole segment; `path` is a file of the cluster to be, or the host's."""

    bridge: str
    path: str
    host: str
    vlan: int = 0
    vm: str = ""
    index: int = 0
    state: CaptureState = "running"
    reason: str = ""


class CaptureList(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The captures of a namespace."""

    items: tuple[CaptureRow, ...] = ()

    def display(self) -> Display:
        """Show the peer's columns; `mode` is empty, or tells that the capture died. `host` … only when named."""
        return Table(
            columns=("bridge", "type", "interface", "mode", "compress", "path", "host", "vlan", "reason"),
            rows=tuple(
                (
                    row.bridge,
                    "pcap",
                    f"{row.vm}:{row.index}" if row.vm else "",
                    "" if row.state == "running" else row.state,
                    "",
                    row.path,
                    row.host,
                    row.vlan,
                    row.reason,
                )
                for row in self.items
            ),
            hidden=frozenset({"host", "vlan", "reason"}),
        )


class ListCaptures(Request[CaptureList], frozen=True, kw_only=True, omit_defaults=True):
    """List the namespace's captures.

    `died` in the column `mode` marks one whose tcpdump is gone; `reason` tells why, where `.columns` names it.
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "list"
    words: ClassVar[tuple[str, ...]] = ("capture",)
    reply: ClassVar[type[Reply]] = CaptureList
    reads: ClassVar[bool] = True


class CapturesBegun(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The captures that were begun, each with the file that it becomes."""

    items: tuple[CaptureRow, ...] = ()


class CaptureVM(Request[CapturesBegun], frozen=True, kw_only=True, omit_defaults=True):
    """Write the packets of a VM's interface into a file, until `capture pcap delete` or the VM's end.

    The file becomes one of the cluster when the capture ends. An absolute path is one of the VM's host, and grows
    there at once. Interfaces are numbered from 0.

    Example: capture pcap vm web1 0 web1.pcap
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "vm"
    words: ClassVar[tuple[str, ...]] = ("capture pcap vm <vm> <index> <file>",)
    reply: ClassVar[type[Reply]] = CapturesBegun

    vm: str
    index: Index
    file: str


class CaptureBridge(Request[CapturesBegun], frozen=True, kw_only=True, omit_defaults=True):
    """Write the packets of the namespace's VLANs on a bridge into files: one for each host and VLAN.

    Their names are the file's with -HOST-VLAN before its suffix. VLANs and hosts that come later are not captured.

    Example: capture pcap bridge mega_bridge all.pcap
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "bridge"
    words: ClassVar[tuple[str, ...]] = ("capture pcap bridge <bridge> <file>",)
    reply: ClassVar[type[Reply]] = CapturesBegun

    bridge: str
    file: str


class SetSnaplen(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set how many bytes of each packet the namespace's new captures keep; 0: all.

    Example: capture pcap snaplen 96
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "snaplen"
    words: ClassVar[tuple[str, ...]] = ("capture pcap snaplen [size]",)
    reply: ClassVar[type[Reply]] = Said

    size: Length | None = None


class SetFilter(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set which packets the namespace's new captures keep, in the words of pcap-filter(7); "" is all.

    Example: capture pcap filter icmp or port 80
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "filter"
    words: ClassVar[tuple[str, ...]] = ("capture pcap filter [bpf...]",)
    reply: ClassVar[type[Reply]] = Said

    bpf: tuple[str, ...] = ()


class CapturesEnded(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """How many captures were ended, and the files of the cluster that they became."""

    count: int = 0
    files: tuple[str, ...] = ()


class EndVMCaptures(Request[CapturesEnded], frozen=True, kw_only=True, omit_defaults=True):
    """End the captures of a VM, of one of its interfaces, or of `all` VMs of the namespace.

    Example: capture pcap delete vm web1
    """

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "delete-vm"
    words: ClassVar[tuple[str, ...]] = ("capture pcap delete vm <vm> [index]",)
    reply: ClassVar[type[Reply]] = CapturesEnded

    vm: str
    index: Index | None = None


class EndBridgeCaptures(Request[CapturesEnded], frozen=True, kw_only=True, omit_defaults=True):
    """End the namespace's captures of a bridge, or of `all` bridges."""

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "delete-bridge"
    words: ClassVar[tuple[str, ...]] = ("capture pcap delete bridge <bridge>",)
    reply: ClassVar[type[Reply]] = CapturesEnded

    bridge: str


class ClearCaptures(Request[CapturesEnded], frozen=True, kw_only=True, omit_defaults=True):
    """End all captures of the namespace."""

    noun: ClassVar[str] = "capture"
    verb: ClassVar[str] = "clear"
    words: ClassVar[tuple[str, ...]] = ("clear capture [kind:pcap,netflow]",)
    reply: ClassVar[type[Reply]] = CapturesEnded

    kind: str = ""
