"""Echo requests and replies (ping) as bytes, for both versions of IP: RFC 792 and RFC 4443.

This module refuses to know sockets and time.
"""

from __future__ import annotations

import struct

_REQUEST_4, _REPLY_4 = 8, 0
_REQUEST_6, _REPLY_6 = 128, 129
_HEAD = struct.Struct("!BBHHH")
_IPV4_VERSION = 4


def echo_request(ident: int, number: int, *, ipv6: bool) -> bytes:
    """A request. The checksum of an ICMPv6 message is the kernel's to write (RFC 3542, section 3.1)."""
    kind = _REQUEST_6 if ipv6 else _REQUEST_4
    bare = _HEAD.pack(kind, 0, 0, ident, number)
    return bare if ipv6 else _HEAD.pack(kind, 0, _checksum(bare), ident, number)


def answers(packet: bytes, ident: int, *, ipv6: bool) -> bool:
    """Whether a packet, as a raw socket gives it, answers a request with that id.

    With IPv4 it begins with the IP header (raw(7)), with IPv6 it does not.
    """
    if not ipv6:
        if not packet or packet[0] >> 4 != _IPV4_VERSION:
            return False
        packet = packet[(packet[0] & 15) * 4 :]
    if len(packet) < _HEAD.size:
        return False
    kind, code, _, theirs, _ = _HEAD.unpack_from(packet)
    return (kind, code, theirs) == (_REPLY_6 if ipv6 else _REPLY_4, 0, ident)


def _checksum(message: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
