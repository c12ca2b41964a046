"""What the leader asks of one worker about captures: to begin, list, end, collect and forget them.

This module refuses to know subjects, the bus, and how packets are written. A capture lives on its worker alone; what
it comes to is content in the file store, which the leader names.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from shoal.messages.host_requests import Content, HostRequest, Text

#: `died`: what wrote the packets is gone, and nobody told it to; `ended`: it waits to be collected
CaptureState = Literal["running", "died", "ended"]


class Capture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Packets of one link of a host (`interface`), written into a file.

    Of interface `index` of the VM `vm`, or (no `vm`) of a whole segment. It becomes the cluster's file `name`, or is
    the host's own file `path` (absolute). `snaplen` in bytes; 0: whole packets. `partial`: packets are missing at its
    end. `reason` tells why it died.
    """

    id: str
    namespace: str
    bridge: str
    vlan: int = 0
    interface: str
    vm: str = ""
    index: int = 0
    name: str = ""
    path: str = ""
    snaplen: int = 0
    filter: str = ""
    state: CaptureState = "running"
    partial: bool = False
    reason: str = ""


class StartCapture(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Begin a capture; answered when packets are being written."""

    verb: ClassVar[str] = "start-capture"
    answer: ClassVar[type[msgspec.Struct]] = Text

    capture: Capture


class CheckFilter(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Refuse a filter that cannot be read (pcap-filter(7))."""

    verb: ClassVar[str] = "check-filter"
    answer: ClassVar[type[msgspec.Struct]] = Text

    filter: str


class HeldCaptures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The captures of a host."""

    items: tuple[Capture, ...] = ()


class AskCaptures(HostRequest[HeldCaptures], frozen=True, kw_only=True, omit_defaults=True):
    """List the captures of a host, of all namespaces."""

    verb: ClassVar[str] = "captures"
    answer: ClassVar[type[msgspec.Struct]] = HeldCaptures


class EndedCapture(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A capture that is over, and what it came to; `error` tells why its content could not be put into the store."""

    capture: Capture
    content: Content = Content()
    error: str = ""


class EndedCaptures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Captures that are over."""

    items: tuple[EndedCapture, ...] = ()


class EndCaptures(HostRequest[EndedCaptures], frozen=True, kw_only=True, omit_defaults=True):
    """End these captures, and put what they came to into the file store. Unknown ones are passed over."""

    verb: ClassVar[str] = "end-captures"
    answer: ClassVar[type[msgspec.Struct]] = EndedCaptures

    ids: tuple[str, ...]


class CollectCaptures(HostRequest[EndedCaptures], frozen=True, kw_only=True, omit_defaults=True):
    """Put what captures came to that ended by themselves into the file store."""

    verb: ClassVar[str] = "collect-captures"
    answer: ClassVar[type[msgspec.Struct]] = EndedCaptures


class ForgetCaptures(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """The content of these captures has its names: what the host has of it may go."""

    verb: ClassVar[str] = "forget-captures"
    answer: ClassVar[type[msgspec.Struct]] = Text

    ids: tuple[str, ...]
