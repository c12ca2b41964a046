"""Reads links and addresses from rtnetlink messages, as pyroute2 decodes them.

This module refuses to know sockets, and pyroute2 itself: a message here is anything with `[field]` for the fixed
part and `.get(attribute)` for the rest. The fields are those of rtnetlink(7) and include/uapi/linux/if_link.h.
"""

from __future__ import annotations

from typing import Any

from shoal_worker.core.kernel_links import KernelLink, canonical_ip

_IFF_UP = 1


def link_of(message: Any) -> KernelLink:
    """The link that an RTM_NEWLINK message tells of."""
    info = message.get("linkinfo")
    kind = str((info.get("kind") if info else "") or "")
    details = info.get("data") if info and kind in {"vxlan", "bridge", "vlan"} else None
    vxlan = details if kind == "vxlan" else None
    return KernelLink(
        index=message["index"],
        name=str(message.get("ifname")),
        kind=kind,
        alias=str(message.get("ifalias") or ""),
        group=int(message.get("group") or 0),
        up=bool(message["flags"] & _IFF_UP),
        mtu=int(message.get("mtu") or 0),
        master=int(message.get("master") or 0),
        peer=int(message.get("link") or 0) if kind in {"veth", "vlan"} else 0,
        vlan=int(details.get("vlan_id") or 0) if kind == "vlan" and details else 0,
        snooping=bool(kind == "bridge" and details and details.get("br_mcast_snooping")),
        vni=int(vxlan.get("vxlan_id") or 0) if vxlan else 0,
        local=str(vxlan.get("vxlan_local") or vxlan.get("vxlan_local6") or "") if vxlan else "",
        udp_port=int(vxlan.get("vxlan_port") or 0) if vxlan else 0,
    )


def ip_of(message: Any) -> str:
    """The `address/prefix` that an RTM_NEWADDR message tells of.

    IFA_LOCAL is the address of our end; IPv6 has only IFA_ADDRESS (rtnetlink(7)).
    """
    address = message.get("local") or message.get("address")
    return canonical_ip(f"{address}/{message['prefixlen']}")
