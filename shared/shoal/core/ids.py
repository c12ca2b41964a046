"""Where random identities come from: a Protocol, so that a simulation can seed it.

This module refuses to know the source of randomness.
"""

from __future__ import annotations

from typing import Protocol


class Ids(Protocol):
    """A source of random bits; `random.Random` and `random.SystemRandom` are both one."""

    def getrandbits(self, k: int, /) -> int:
        """`k` random bits as a number."""
        ...


def token(ids: Ids, bits: int = 64) -> str:
    """A random identity in hexadecimal digits, `bits` wide."""
    return f"{ids.getrandbits(bits):0{bits // 4}x}"


def uuid(ids: Ids) -> str:
    """A random UUID, version 4 (RFC 9562, section 5.4)."""
    value = ids.getrandbits(128)
    value = (value & ~(0xF << 76)) | (4 << 76)
    value = (value & ~(0x3 << 62)) | (2 << 62)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def mac(ids: Ids) -> str:
    """A random MAC address, unicast and locally administered (IEEE 802, section 8.2)."""
    first = (ids.getrandbits(8) & 0xFC) | 0x02
    rest = ids.getrandbits(40).to_bytes(5, "big")
    return ":".join(f"{byte:02x}" for byte in (first, *rest))
