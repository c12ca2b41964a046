"""Derives the names of the Linux interfaces that Shoal makes, and judges names that users give.

This module refuses to know which interfaces exist and what they are for on a host. Orchestrator and workers
import it, so that both spell a name alike. All of it is pure.

The kernel takes at most 15 bytes (IFNAMSIZ, include/uapi/linux/if.h). What can be read from a name stands in it
(`shb-12-100` is the bridge of key 12 and VLAN 100); what is longer is hashed:

=======  =============================================================================
`shb-`   the Linux bridge of a segment, followed by key and VLAN
`shx-`   its VXLAN device, likewise
`shp-`   the Linux bridge of one VLAN of a plain bridge, 55 bits of hash
`sht-`   a tap of a guest, at least 40 bits of hash and the interface's index
`shv-`   the inner end of a host tap's veth pair, 55 bits of hash
`shu-`   one VLAN of an uplink, a device on the host's own interface, 55 bits of hash
=======  =============================================================================
"""

from __future__ import annotations

import base64

#: IFNAMSIZ without its closing NUL
MAX_NAME_LENGTH = 15

#: begins the `ifalias` of every link that Shoal makes: only what bears it is ever changed or removed
MARK = "shoal:"

#: a VNI is key * 4096 + VLAN (DESIGN.md section 5)
VLANS_PER_KEY = 4096
_MAX_VNI = VLANS_PER_KEY * VLANS_PER_KEY - 1

_SEGMENT_BRIDGE = "shb-"
_SEGMENT_DEVICE = "shx-"
_PLAIN_BRIDGE = "shp-"
_GUEST_TAP = "sht-"
_HOST_TAP_INNER = "shv-"
_UPLINK_DEVICE = "shu-"
_DERIVED = (_SEGMENT_BRIDGE, _SEGMENT_DEVICE, _PLAIN_BRIDGE, _GUEST_TAP, _HOST_TAP_INNER, _UPLINK_DEVICE)

# Two digits and a dash leave the hash eight characters (40 bits); no machine type has room for a hundred cards.
_MAX_NIC_INDEX = 99


def _hashed(prefix: str, *parts: str, suffix: str = "") -> str:
    """`prefix`, as much of a hash over `parts` as fits, `suffix`. Parts are kept apart by a NUL, which no name holds."""
    import hashlib  # noqa: PLC0415  # 5 ms and more, which a prompt that names no interface need not spend

    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=10, person=b"shoal-ifname").digest()
    text = base64.b32encode(digest).decode().lower()
    return prefix + text[: MAX_NAME_LENGTH - len(prefix) - len(suffix)] + suffix


def _of_vni(prefix: str, vni: int) -> str:
    if not 0 < vni <= _MAX_VNI:
        msg = f"no interface is derived from VNI {vni}: expected 1 to {_MAX_VNI}"
        raise ValueError(msg)
    return f"{prefix}{vni // VLANS_PER_KEY}-{vni % VLANS_PER_KEY}"


def segment_bridge(vni: int) -> str:
    """The Linux bridge of a VNI on every host. Raises ValueError outside 1 to 2²⁴-1 (RFC 7348 section 5)."""
    return _of_vni(_SEGMENT_BRIDGE, vni)


def segment_device(vni: int) -> str:
    """The VXLAN device of a VNI on every host. Raises ValueError outside 1 to 2²⁴-1 (RFC 7348 section 5)."""
    return _of_vni(_SEGMENT_DEVICE, vni)


def plain_bridge(bridge: str, vlan: int) -> str:
    """The Linux bridge of one VLAN of the plain bridge that users call `bridge`."""
    return _hashed(_PLAIN_BRIDGE, bridge, str(vlan))


def guest_tap(instance: str, index: int) -> str:
    """The tap of interface `index` (from 0) of the VM `instance`. Raises ValueError for an index over 99."""
    if not 0 <= index <= _MAX_NIC_INDEX:
        msg = f"no tap is derived for interface {index} of {instance}: expected 0 to {_MAX_NIC_INDEX}"
        raise ValueError(msg)
    return _hashed(_GUEST_TAP, instance, suffix=f"-{index}")


def host_tap_inner(tap: str) -> str:
    """The end in the segment's bridge of the veth pair whose outer end is the host tap `tap`."""
    return _hashed(_HOST_TAP_INNER, tap)


def uplink_device(interface: str, vlan: int) -> str:
    """The device that carries one VLAN of an uplink on the host's own `interface`."""
    return _hashed(_UPLINK_DEVICE, interface, str(vlan))


def is_derived(name: str) -> bool:
    """Whether `name` is of a form that Shoal derives, and so not free for a user to give."""
    return name.startswith(_DERIVED)


def valid_interface_name(name: str) -> bool:
    """Whether Linux would take `name` for an interface, and the tools that show it would read it back.

    The kernel refuses (dev_valid_name in net/core/dev.c, register_netdevice, devinet_sysctl_register) the empty
    name, `.`, `..`, over 15 bytes, slash, colon, white space, a `%` that is no pattern, `all` and `default`. Ours:
    printable ASCII only, and no dash in front, which a command line takes for an option.
    """
    return (
        0 < len(name) <= MAX_NAME_LENGTH
        and name not in {".", "..", "all", "default"}
        and not name.startswith("-")
        and all("!" <= character <= "~" and character not in "/:%" for character in name)
    )
