"""What may be an address that tunnels end at, and how it is spelled.

This module refuses to know who has an address, and whether there is a way to it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from shoal.errors import InvalidRequest

# RFC 4291, 2.5.5.1: addresses with an IPv4 address in their last 32 bits are spelled in two ways, and not in use
_FIRST_OF_USE = 1 << 32


def check_underlay(text: str) -> str:
    """The address as the kernel prints it, so that two spellings are one text. Raises InvalidRequest for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no IP address: tunnels end at an address of this host, such as 10.0.0.1 or fd00::1, not at a name"
        ) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if not _is_of_one_host(address):
        raise InvalidRequest(
            f"tunnels cannot end at {text}: give an address of this host that the others reach it at, without a zone"
        )
    return str(address)


def _is_of_one_host(address: IPv4Address | IPv6Address) -> bool:
    if address.is_multicast or address.is_unspecified:
        return False
    if isinstance(address, IPv4Address):
        return True
    return address.scope_id is None and (address.is_loopback or int(address) >= _FIRST_OF_USE)
