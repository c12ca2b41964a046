"""What the leader asks of a worker about its host when the cluster is checked.

This module refuses to know how a host finds it out, and what it means. See `shoal.messages.host_requests`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.host_requests import HostRequest


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A directory of the worker, and the space of its file system in bytes: all, and what is left for the worker."""

    path: str
    size: int = 0
    free: int = 0


class HostHealth(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host found of itself.

    `filters` are the switches of br_netfilter that are on (`bridge-nf-call-iptables`), `mtu` is the least MTU on the way
    to any of the peers (0: not known). `cut_off` are the peers that no packet can be sent to, and why; `silent` those
    that did not answer a ping, `unasked` why no ping could be sent at all.
    """

    filters: tuple[str, ...] = ()
    mtu: int = 0
    disks: tuple[Disk, ...] = ()
    cut_off: dict[str, str] = {}
    silent: tuple[str, ...] = ()
    unasked: str = ""


class AskHealth(HostRequest[HostHealth], frozen=True, kw_only=True, omit_defaults=True):
    """How the host is, seen from inside, and whether it reaches these addresses of other hosts' underlay."""

    verb: ClassVar[str] = "health"
    answer: ClassVar[type[msgspec.Struct]] = HostHealth

    peers: tuple[str, ...] = ()
