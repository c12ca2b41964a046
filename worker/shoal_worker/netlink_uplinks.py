"""Uplinks: 802.1Q devices on an interface of the host's own, one for each VLAN, each in the bridge of its segment.

It refuses to know which VLANs are in use. The interface itself is never ours: it is looked at, and never changed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_interface
from typing import Any

from shoal.core.ifnames import uplink_device
from shoal_worker.core.kernel_links import GROUP, MTU, KernelLink, uplink_mark
from shoal_worker.core.link_messages import ip_of, link_of
from shoal_worker.netlink_errors import code_of, doing
from shoal_worker.network import NetworkError, Uplink

#: IEEE 802.1Q reserves it, and the kernel refuses it only after it has found the kind of the link
_IMPOSSIBLE_VLAN = 4095

#: marks a link, puts it into a bridge (`master`, an index) and sets it up
Finish = Callable[..., None]


def ensure(ipr: Any, uplink: Uplink, finish: Finish) -> None:
    """Make the uplink's VLANs what they should be. Raises NetworkError; see `Network.ensure_uplink`."""
    with doing(f"looking at {uplink.interface}"):
        links = {link.name: link for link in map(link_of, ipr.link("dump"))}
    lower = links.get(uplink.interface)
    if lower is None:
        raise NetworkError(f"{uplink.interface} can be no uplink: there is no such interface")
    there = {link.name: link for link in links.values() if link.ours and link.mark == ("uplink", lower.name)}
    if not there:
        _guard(ipr, lower, links.values())
    _probe(ipr, lower)
    for vlan, segment in sorted(uplink.segments.items()):
        name = uplink_device(lower.name, vlan)
        device = _usable(ipr, links.get(name), lower, vlan)
        bridge = links.get(segment)
        if bridge is None or not bridge.ours:
            raise NetworkError(f"{name} cannot be put into the segment {segment}, which is not there")
        with doing(f"making {name}, VLAN {vlan} of {lower.name}"):
            made = device or _make(ipr, name, lower, vlan)
            finish(made, uplink_mark(lower.name), master=bridge.index)
    _remove_others(ipr, there, {uplink_device(lower.name, vlan) for vlan in uplink.segments})


def _guard(ipr: Any, lower: KernelLink, links: Iterable[KernelLink]) -> None:
    """Refuse an interface that somebody uses: the host would lose its connection, or a bridge would get a loop."""
    with doing(f"looking at {lower.name}"):
        addresses = [ip_of(message) for message in ipr.addr("dump") if message["index"] == lower.index]
        routes = [message for family in (2, 10) for message in ipr.get_default_routes(family=family)]
    used = [ip for ip in addresses if not ip_interface(ip).is_link_local]
    master = next((link.name for link in links if lower.master and link.index == lower.master), "")
    why = ""
    if lower.ours:
        why = "it is one of Shoal's own links"
    elif lower.kind == "bridge":
        why = "it is a bridge"
    elif used:
        why = f"it has the address {used[0]}"
    elif any(lower.index in _ways(route) for route in routes):
        why = "the default route goes through it"
    elif lower.master:
        why = f"it is a port of {master or 'another link'}"
    elif not lower.up:
        why = f"it is down; `ip link set {lower.name} up` there"
    if why:
        raise NetworkError(f"{lower.name} can be no uplink: {why}")


def _ways(route: Any) -> set[int]:
    """The indices of the interfaces that a route goes through (rtnetlink(7): RTA_OIF, RTA_MULTIPATH)."""
    hops = route.get("RTA_MULTIPATH") or ()
    return {int(route.get("RTA_OIF") or 0), *(int(hop["oif"]) for hop in hops)}


def _probe(ipr: Any, lower: KernelLink) -> None:
    """See that the kernel has 802.1Q devices, also when there is no VLAN yet. Nothing is ever made here."""
    try:
        with doing("802.1Q"):
            ipr.link("add", ifname="shoal-probe", kind="vlan", link=lower.index, vlan_id=_IMPOSSIBLE_VLAN)
    except NetworkError as error:
        if code_of(error) == errno.EOPNOTSUPP:
            raise NetworkError(
                "the kernel has no 802.1Q devices, which an uplink needs to tag its VLANs: try `modprobe 8021q` there"
            ) from error


def _usable(ipr: Any, link: KernelLink | None, lower: KernelLink, vlan: int) -> KernelLink | None:
    """Our device for a VLAN, if it is sound; one that the kernel cannot mend is removed."""
    if link is None:
        return None
    if not link.ours:
        raise NetworkError(
            f"the interface name {link.name} is taken by a {link.describe()}, which is not ours: remove or rename it"
        )
    if (link.kind, link.peer, link.vlan) == ("vlan", lower.index, vlan):
        return link
    with doing(f"removing {link.name}"):
        ipr.link("del", index=link.index)
    return None


def _make(ipr: Any, name: str, lower: KernelLink, vlan: int) -> KernelLink:
    ipr.link("add", ifname=name, kind="vlan", link=lower.index, vlan_id=vlan, mtu=MTU, group=GROUP)
    return link_of(ipr.link("get", ifname=name)[0])


def _remove_others(ipr: Any, there: Mapping[str, KernelLink], wanted: Iterable[str]) -> None:
    for name in sorted(there.keys() - set(wanted)):
        with doing(f"removing {name}"):
            ipr.link("del", index=there[name].index)
