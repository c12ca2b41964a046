"""What a host finds of itself, by proc(5), statvfs(3) and its sockets.

Refuses to know what is good and what is bad. It works in the network namespace of the worker: its switches of
br_netfilter, its routes. Needs root for pings.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from shoal.messages.health_requests import Disk, HostHealth
from shoal_worker.core.echo_messages import answers, echo_request

#: how long pings are waited for, and after which part of it they are sent once more
PING_S = 2.0
_TRIES = 2
_SWITCHES = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")
# ip(7) and include/uapi/linux/in6.h: the MTU of the route that a connected socket has found
_IP_MTU = 14
_IPV6_MTU = 24
_ANY_PORT = 9
_MAX_PACKET = 2048


class LinuxHealth:
    """The real thing. `directories` are those whose space counts; one that is not there yet counts as its parent."""

    def __init__(self, directories: Sequence[Path], rng: random.Random, proc: Path = Path("/proc")) -> None:
        self._directories = directories
        self._rng = rng
        self._proc = proc

    async def look(self, peers: Sequence[str]) -> HostHealth:
        """How the host is. Which peers answer is known after two seconds at most."""
        mtus, cut_off = {}, {}
        for peer in dict.fromkeys(peers):
            try:
                mtus[peer] = _mtu_towards(peer)
            except (OSError, ValueError) as error:
                cut_off[peer] = str(getattr(error, "strerror", None) or error)
        silent: tuple[str, ...] = ()
        refused = ""
        try:
            silent = await self._silent(list(mtus))
        except OSError as error:
            refused = error.strerror or str(error)
        return HostHealth(
            filters=tuple(name for name in _SWITCHES if self._is_on(name)),
            mtu=min(filter(None, mtus.values()), default=0),
            disks=tuple(map(_disk, self._directories)),
            cut_off=cut_off,
            silent=silent,
            unasked=refused,
        )

    def _is_on(self, switch: str) -> bool:
        """Without the module br_netfilter there are no such switches."""
        try:
            text = (self._proc / "sys/net/bridge" / switch).read_text(encoding="ascii")
        except OSError:
            return False
        return text.strip() not in ("", "0")

    async def _silent(self, peers: Sequence[str]) -> tuple[str, ...]:
        """The peers that do not answer a ping. OSError when none can be sent."""
        waiting = set(peers)
        for ipv6 in (False, True):
            ours = [peer for peer in peers if (ip_address(peer).version == 6) == ipv6]
            if ours:
                waiting -= await _ping(ours, self._rng.getrandbits(16), ipv6=ipv6)
        return tuple(peer for peer in peers if peer in waiting)


def _mtu_towards(peer: str) -> int:
    """The MTU of the way to an address. OSError when there is none; no packet is sent."""
    ipv6 = ip_address(peer).version == 6
    with socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, _ANY_PORT))
        if ipv6:
            return probe.getsockopt(socket.IPPROTO_IPV6, _IPV6_MTU)
        return probe.getsockopt(socket.IPPROTO_IP, _IP_MTU)


async def _ping(peers: Sequence[str], ident: int, *, ipv6: bool) -> set[str]:
    """Those of the peers that answer in time."""
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if ipv6 else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    answered: set[str] = set()
    with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
        raw.setblocking(False)
        for number in range(_TRIES):
            for peer in peers:
                if peer not in answered:
                    # what cannot be sent is not answered
                    with contextlib.suppress(OSError):
                        raw.sendto(echo_request(ident, number, ipv6=ipv6), (peer, 0))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PING_S / _TRIES):
                    await _hear(raw, set(peers), answered, ident, ipv6=ipv6)
                    break
    return answered


async def _hear(raw: socket.socket, peers: set[str], answered: set[str], ident: int, *, ipv6: bool) -> None:
    """Note who answers, until all have."""
    loop = asyncio.get_running_loop()
    while answered != peers:
        packet, sender = await loop.sock_recvfrom(raw, _MAX_PACKET)
        if sender[0] in peers and answers(packet, ident, ipv6=ipv6):
            answered.add(sender[0])


def _disk(directory: Path) -> Disk:
    """The space where a directory is, or will be."""
    at = directory
    while not at.exists() and at != at.parent:
        at = at.parent
    try:
        found = os.statvfs(at)
    except OSError:
        return Disk(path=str(directory))
    return Disk(
        path=str(directory), size=found.f_blocks * found.f_frsize, free=found.f_bavail * found.f_frsize
    )
