"""What is asked of the kernel, synchronously: rtnetlink for links, addresses and flood entries, ioctl for taps.

It refuses to know desired records, and the thread that it runs on. Only the `netlink_*` modules of the worker import
pyroute2; queue disciplines and filters are the business of `netlink_shaping`.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any, cast

from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from shoal.core.ifnames import host_tap_inner
from shoal.core.qos import Shaping
from shoal_worker import netlink_shaping, netlink_uplinks
from shoal_worker.core import kernel_links
from shoal_worker.core.kernel_links import DOOMED_GROUP, GROUP, MTU, KernelLink, canonical_ip
from shoal_worker.core.link_messages import ip_of, link_of
from shoal_worker.core.queue_messages import Queueing
from shoal_worker.netlink_errors import code_of, doing
from shoal_worker.network import GuestTap, HostTap, Links, NetworkError, Segment, Uplink

_FLOOD = "00:00:00:00:00:00"
# include/uapi/linux/if_link.h: IN6_ADDR_GEN_MODE_NONE
_NO_IPV6_ADDRESS = {"attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})]}
# include/uapi/linux/if_addr.h: no duplicate address detection, so that an IPv6 address answers at once
_IFA_F_NODAD = 2

# include/uapi/linux/if_tun.h, as on x86 and Arm
_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TAP_NO_PI = 0x0002 | 0x1000


class Kernel:
    """Synchronous rtnetlink, on the adapter's thread."""

    def __init__(self) -> None:
        with doing("opening rtnetlink"):
            self._ipr = cast("Any", IPRoute)(ext_ack=True, strict_check=True)
        self._has_ipv6 = Path("/proc/sys/net/ipv6").exists()
        try:
            self._probe()
        except NetworkError:
            self._ipr.close()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        self._ipr.close()

    def _probe(self) -> None:
        """See that we may make links of every kind that we need; the kernel loads its modules on the way.

        A link with an impossible MTU is refused (EINVAL) only after privilege and kind were found good, so that
        nothing is ever made here.
        """
        for kind in ("bridge", "vxlan", "veth"):
            try:
                with doing(kind):
                    self._ipr.link("add", ifname="shoal-probe", kind=kind, mtu=1)
            except NetworkError as error:
                code = code_of(error)
                if code == errno.EPERM:
                    raise NetworkError("no privilege to make network links: run as root") from error
                if code == errno.EOPNOTSUPP:
                    raise NetworkError(f"the kernel has no {kind} links: try `modprobe {kind}`") from error
        if not Path("/dev/net/tun").exists():
            raise NetworkError("the kernel has no taps (/dev/net/tun): try `modprobe tun`")

    # observing

    def observe(self) -> Links:
        """List our links as they are."""
        with doing("listing links"):
            links = [link_of(message) for message in self._ipr.link("dump")]
            addresses: dict[int, frozenset[str]] = {}
            for message in self._ipr.addr("dump"):
                ip = ip_of(message)
                addresses[message["index"]] = addresses.get(message["index"], frozenset()) | {ip}
        queues = netlink_shaping.observe(self._ipr)
        return kernel_links.assemble(links, self._floods(), addresses, queues)

    def _floods(self, index: int = 0) -> dict[int, frozenset[str]]:
        """The peers of all VXLAN devices, or of one: index → underlay addresses."""
        found: dict[int, frozenset[str]] = {}
        with doing("listing the FDB"):
            for entry in self._ipr.fdb("dump", **({"ifindex": index} if index else {})):
                peer = entry.get("dst")
                if peer and entry.get("lladdr") == _FLOOD:
                    found[entry["ifindex"]] = found.get(entry["ifindex"], frozenset()) | {peer}
        return found

    def _find(self, name: str) -> KernelLink | None:
        try:
            return link_of(self._ipr.link("get", ifname=name)[0])
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise

    def _find_ours(self, name: str, kind: str) -> KernelLink | None:
        """Our link of that name. Raises NetworkError for anybody else's, and for one of another kind."""
        link = self._find(name)
        if link is not None and not link.ours:
            raise NetworkError(
                f"the interface name {name} is taken by a {link.describe()}, which is not ours: remove or rename it"
            )
        if link is not None and link.kind != kind:
            raise NetworkError(f"{name} should be a {kind} and is our {link.describe()}: remove it first")
        return link

    # making

    def _make(self, name: str, kind: str, **attributes: object) -> KernelLink:
        self._ipr.link("add", ifname=name, kind=kind, mtu=MTU, group=GROUP, **attributes)
        link = self._find(name)
        if link is None:
            raise NetworkError(f"{name} vanished while it was made")
        return link

    def _finish(self, link: KernelLink, mark: str, **attributes: object) -> None:
        """Mark the link and set it up. Two requests: the kernel sets flags before the address generation mode."""
        quiet = {"IFLA_AF_SPEC": _NO_IPV6_ADDRESS} if self._has_ipv6 else {}
        self._ipr.link("set", index=link.index, ifalias=mark, group=GROUP, mtu=MTU, **quiet, **attributes)
        self._ipr.link("set", index=link.index, state="up")

    def ensure_segment(self, segment: Segment) -> None:
        """Make or mend bridge, VXLAN device and flood entries."""
        with doing(f"making the bridge {segment.segment}"):
            bridge = self._find_ours(segment.segment, "bridge")
            if bridge is None:
                bridge = self._make(segment.segment, "bridge", br_mcast_snooping=0)
            elif bridge.snooping:
                self._ipr.link("set", index=bridge.index, kind="bridge", br_mcast_snooping=0)
            self._finish(bridge, kernel_links.bridge_mark())
        if segment.vni:
            with doing(f"making the VXLAN device {segment.device}"):
                device, peers = self._ensure_device(segment)
                self._finish(device, kernel_links.vxlan_mark(segment.segment), master=bridge.index)
            with doing(f"setting the peers of {segment.device}"):
                self._set_peers(device, peers, segment.peers)

    def _ensure_device(self, segment: Segment) -> tuple[KernelLink, frozenset[str]]:
        """The VXLAN device and the peers that it has; one whose fixed attributes differ is made anew."""
        device = self._find_ours(segment.device, "vxlan")
        wanted = (segment.vni, segment.local, segment.udp_port)
        if device is not None and (device.vni, device.local, device.udp_port) != wanted:
            self._ipr.link("del", index=device.index)
            device = None
        if device is not None:
            return device, self._floods(device.index).get(device.index, frozenset())
        version = 6 if segment.local and ip_address(segment.local).version == 6 else 4
        local = {"vxlan_local6" if version == 6 else "vxlan_local": segment.local} if segment.local else {}
        try:
            with doing(f"making the VXLAN device {segment.device}"):
                device = self._make(
                    segment.device,
                    "vxlan",
                    vxlan_id=segment.vni,
                    vxlan_port=segment.udp_port,
                    vxlan_learning=1,
                    **local,
                )
        except NetworkError as error:
            if code_of(error) == errno.EEXIST:
                raise self._taken(segment) from error
            raise
        return device, frozenset()

    def _taken(self, segment: Segment) -> NetworkError:
        """Say who has the VNI of `segment`: the kernel allows each only once on a port."""
        for message in self._ipr.link("dump"):
            link = link_of(message)
            if link.kind == "vxlan" and (link.vni, link.udp_port) == (segment.vni, segment.udp_port):
                return NetworkError(
                    f"VNI {segment.vni} on UDP port {segment.udp_port} is taken by {link.describe()}: "
                    "remove it, or choose another first key or UDP port"
                )
        return NetworkError(
            f"the interface name {segment.device} or VNI {segment.vni} was taken just now: try again"
        )

    def _set_peers(self, device: KernelLink, there: frozenset[str], peers: frozenset[str]) -> None:
        for peer in sorted(there - peers):
            self._ipr.fdb("del", ifindex=device.index, lladdr=_FLOOD, dst=peer)
        for peer in sorted(peers - there):
            self._ipr.fdb("append", ifindex=device.index, lladdr=_FLOOD, dst=peer)

    def ensure_guest_tap(self, tap: GuestTap) -> None:
        """Make the tap, move it, shape it and copy what passes."""
        with doing(f"making the tap {tap.tap}"):
            master = self._bridge_index(tap.tap, tap.segment)
            link = self._find_ours(tap.tap, "tun")
            if link is not None:
                self._finish(link, kernel_links.guest_mark(), master=master)
                self._queue(link, tap.tap, tap.shaping, tap.copies)
                return
            # The tap goes with its descriptor until it is marked: a crash in between leaves nothing behind.
            with open("/dev/net/tun", "r+b", buffering=0) as device:  # noqa: PTH123 - a device, for ioctl
                fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", tap.tap.encode(), _IFF_TAP_NO_PI))
                link = self._find(tap.tap)
                if link is None:
                    raise NetworkError(f"the tap {tap.tap} vanished while it was made")
                self._finish(link, kernel_links.guest_mark(), master=master)
                fcntl.ioctl(device, _TUNSETPERSIST, 1)
            self._queue(link, tap.tap, tap.shaping, tap.copies)

    def ensure_host_tap(self, tap: HostTap) -> None:
        """Make the pair, or mend segment, address and copies."""
        with doing(f"making the host tap {tap.tap}"):
            master = self._bridge_index(tap.tap, tap.segment)
            outer = self._find_ours(tap.tap, "veth")
            inner = self._find_ours(host_tap_inner(tap.tap), "veth")
            if outer is None or inner is None or outer.peer != inner.index:
                for stale in (outer, inner):
                    if stale is not None and self._find(stale.name) is not None:
                        self._ipr.link("del", index=stale.index)
                name = host_tap_inner(tap.tap)
                outer = self._make(tap.tap, "veth", peer={"ifname": name, "mtu": MTU, "group": GROUP})
                inner = self._find(name)
                if inner is None:
                    raise NetworkError(f"the inner end {name} of {tap.tap} vanished while it was made")
            self._finish(inner, kernel_links.inner_mark(tap.tap), master=master)
            self._set_address(outer, tap.ip)
            self._finish(outer, kernel_links.host_mark(tap.ip))
            self._queue(inner, tap.tap, Shaping(), tap.copies)

    def _set_address(self, outer: KernelLink, ip: str) -> None:
        """Give the link this address in place of the one that its mark tells of; others are not ours."""
        word, before = outer.mark
        there = {
            ip_of(message)
            for message in self._ipr.addr("dump", index=outer.index)
            if message["index"] == outer.index
        }
        if word == "host" and before and before != ip and canonical_ip(before) in there:
            stale = ip_interface(before)
            self._ipr.addr("del", index=outer.index, address=str(stale.ip), prefixlen=stale.network.prefixlen)
        if ip and canonical_ip(ip) not in there:
            wanted = ip_interface(ip)
            flags = {"flags": _IFA_F_NODAD} if wanted.version == 6 else {}
            self._ipr.addr(
                "add", index=outer.index, address=str(wanted.ip), prefixlen=wanted.network.prefixlen, **flags
            )

    def _queue(self, link: KernelLink, tap: str, shaping: Shaping, copies: frozenset[str]) -> None:
        """Shape what goes out of a tap, and copy all that passes through it to others that are there."""
        found = netlink_shaping.observe(self._ipr, link.index).get(link.index, Queueing())
        if found.shaping != shaping:
            netlink_shaping.shape(self._ipr, link.index, tap, shaping)
        wanted = frozenset(filter(None, map(self._port_index, copies)))
        if found.copies != wanted or found.flaw:
            netlink_shaping.copy(self._ipr, link.index, tap, wanted)

    def _port_index(self, tap: str) -> int:
        """The index of a tap's end in the bridge; 0 when our tap is not there (yet)."""
        link = self._find(tap)
        if link is not None and link.ours and link.mark[0] == "host":
            link = self._find(host_tap_inner(tap))
        return link.index if link is not None and link.ours else 0

    def _bridge_index(self, tap: str, segment: str) -> int:
        """The index of our bridge `segment`; 0 releases a link from any bridge."""
        if not segment:
            return 0
        bridge = self._find_ours(segment, "bridge")
        if bridge is None:
            raise NetworkError(f"{tap} cannot be put into the segment {segment}, which is not there")
        return bridge.index

    def ensure_uplink(self, uplink: Uplink) -> None:
        """Make, mend and remove the devices of an uplink's VLANs."""
        netlink_uplinks.ensure(self._ipr, uplink, self._finish)

    # removing

    def remove(self, names: frozenset[str]) -> None:
        """Remove our links of these names, in one request if there are many."""
        with doing("removing links"):
            links = [link_of(message) for message in self._ipr.link("dump")]
            doomed = [link for link in links if link.ours and (link.name in names or link.mark[1] in names)]
            indices = {link.index for link in doomed}
            bystanders = [link for link in links if link.group == DOOMED_GROUP and link.index not in indices]
            if len(doomed) > 1 and not bystanders:
                for link in doomed:
                    self._ipr.link("set", index=link.index, group=DOOMED_GROUP)
                self._ipr.link("del", group=DOOMED_GROUP)
                return
            for link in doomed:
                try:
                    self._ipr.link("del", index=link.index)
                except NetlinkError as error:
                    if error.code != errno.ENODEV:  # a veth pair's other end went with it
                        raise
