"""Keys of private bridges, and VNIs made of a key and a VLAN.

This module refuses to know which bridges there are: it is told which keys are taken.

A VNI has 24 bits (RFC 7348): the key of the bridge in the upper 12, the VLAN in the lower. Key 0 is the default
bridge's, which all namespaces share.
"""

from __future__ import annotations

from collections.abc import Collection

from shoal.errors import Refused

DEFAULT_BRIDGE_KEY = 0
FIRST_KEY = 1
LAST_KEY = 4095
_VLANS = 4096


def allocate_key(taken: Collection[int], draining: Collection[int] = (), *, first: int = FIRST_KEY) -> int:
    """Return the lowest key from `first` on that no bridge has.

    `draining` are keys of removed bridges whose removal some host has not acknowledged: a host that still had the
    old tunnels would join two namespaces. Raises Refused when there is none.
    """
    unavailable = {*taken, *draining}
    for key in range(max(first, FIRST_KEY), LAST_KEY + 1):
        if key not in unavailable:
            return key
    raise Refused("out of bridge keys")


def vni(key: int, vlan: int) -> int:
    """Return the VNI of a VLAN on the bridge with that key."""
    if not 0 <= key <= LAST_KEY or not 0 < vlan < _VLANS:
        raise ValueError(
            f"no VNI for key {key} and vlan {vlan}: expected 0 to {LAST_KEY} and 1 to {_VLANS - 1}"
        )
    return key * _VLANS + vlan


def split_vni(number: int) -> tuple[int, int]:
    """Return key and VLAN of a VNI."""
    return divmod(number, _VLANS)
