"""What netlink is asked for an uplink: the adapter with a recorded kernel, since few test machines have 802.1Q."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from shoal.core.ifnames import uplink_device
from shoal_worker import netlink_uplinks
from shoal_worker.core.kernel_links import GROUP, KernelLink, assemble, bridge_mark, uplink_mark
from shoal_worker.network import NetworkError, Uplink

DEVICE = uplink_device("eth1", 101)


class Message(dict[str, Any]):
    """A message of pyroute2, as far as we read it."""


class Kernel:
    """Answers with its links and remembers what it was asked for. `vlans`: whether it has 802.1Q devices."""

    def __init__(self, *, vlans: bool = True) -> None:
        self.vlans = vlans
        self.links = {
            "eth1": self._link(2, "eth1"),
            "shb-1-101": self._link(3, "shb-1-101", "bridge", bridge_mark()),
        }
        self.addresses: list[Message] = []
        self.routes: list[Message] = []
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    @staticmethod
    def _link(index: int, name: str, kind: str = "", alias: str = "", **more: object) -> Message:
        info = {"kind": kind, "data": {"vlan_id": more.pop("vlan_id", 0)}} if kind else None
        return Message(
            index=index,
            flags=1,
            ifname=name,
            ifalias=alias,
            group=GROUP if alias else 0,
            mtu=1500,
            linkinfo=info,
            **more,
        )

    def link(self, command: str, **request: Any) -> list[Message]:
        if command == "dump":
            return list(self.links.values())
        if command == "get":
            return [self.links[request["ifname"]]]
        if request.get("vlan_id") == 4095:
            raise NetlinkError(errno.ERANGE if self.vlans else errno.EOPNOTSUPP, "probed")
        self.asked.append(("link", command, request))
        if command == "add":
            name = request["ifname"]
            self.links[name] = self._link(10 + len(self.links), name, "vlan", link=request["link"])
        return []

    def addr(self, _: str) -> list[Message]:
        return self.addresses

    def get_default_routes(self, family: int) -> list[Message]:
        return self.routes if family == 2 else []


def ensure(kernel: Kernel, segments: dict[int, str]) -> list[tuple[str, int]]:
    """Ensure an uplink on eth1; returns what was marked, with the bridge that it was put into."""
    finished: list[tuple[str, int]] = []

    def finish(link: KernelLink, mark: str, *, master: int) -> None:
        assert mark == uplink_mark("eth1")
        finished.append((link.name, master))

    netlink_uplinks.ensure(kernel, Uplink(interface="eth1", segments=segments), finish)
    return finished


def test_a_vlan_is_a_device_of_its_own_on_the_interface() -> None:
    """One 802.1Q device is made on the interface, in our group, and put into the segment's bridge; nothing else."""
    kernel = Kernel()
    assert ensure(kernel, {101: "shb-1-101"}) == [(DEVICE, 3)]
    assert kernel.asked == [
        (
            "link",
            "add",
            {"ifname": DEVICE, "kind": "vlan", "link": 2, "vlan_id": 101, "mtu": 1500, "group": GROUP},
        )
    ]


def test_what_is_there_is_kept_and_what_is_too_many_goes() -> None:
    """A VLAN that is carried already is not made again; one that is wanted no more is removed, by its index."""
    kernel = Kernel()
    kernel.links[DEVICE] = Kernel._link(9, DEVICE, "vlan", uplink_mark("eth1"), link=2, vlan_id=101)
    other = uplink_device("eth1", 102)
    kernel.links[other] = Kernel._link(8, other, "vlan", uplink_mark("eth1"), link=2, vlan_id=102)
    assert ensure(kernel, {101: "shb-1-101"}) == [(DEVICE, 3)]
    assert kernel.asked == [("link", "del", {"index": 8})]


def test_a_device_with_another_tag_is_made_anew() -> None:
    """The kernel changes no tag: the device goes and comes again."""
    kernel = Kernel()
    kernel.links[DEVICE] = Kernel._link(9, DEVICE, "vlan", uplink_mark("eth1"), link=2, vlan_id=7)
    ensure(kernel, {101: "shb-1-101"})
    assert [command for _, command, _ in kernel.asked] == ["del", "add"]


def test_without_vlans_in_the_kernel_it_says_so_before_any_is_asked_for() -> None:
    """Also an uplink that has no VLAN to carry yet is refused, and nothing is made."""
    kernel = Kernel(vlans=False)
    with pytest.raises(NetworkError, match=r"no 802\.1Q devices.*modprobe 8021q"):
        ensure(kernel, {})
    assert not kernel.asked


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"address": "192.0.2.7", "prefixlen": 24}, "it has the address 192.0.2.7/24"),
        ({"RTA_OIF": 2}, "the default route goes through it"),
        ({"RTA_MULTIPATH": [{"oif": 5}, {"oif": 2}]}, "the default route goes through it"),
        ({"master": 3}, "it is a port of shb-1-101"),
        ({"flags": 0}, "it is down; `ip link set eth1 up` there"),
        ({"ifname": "eth7"}, "there is no such interface"),
        ({"ifalias": "shoal:host"}, "it is one of Shoal's own links"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_interface_that_is_used_is_refused(change: dict[str, Any], why: str) -> None:
    """Whatever somebody needs is no uplink, and is left as it is."""
    kernel = Kernel()
    if "address" in change:
        kernel.addresses = [Message(index=2, **change)]
    elif any(name.startswith("RTA") for name in change):
        kernel.routes = [Message(**change)]
    else:
        kernel.links["eth1"].update(change)
    with pytest.raises(NetworkError) as refused:
        ensure(kernel, {101: "shb-1-101"})
    assert str(refused.value) == f"eth1 can be no uplink: {why}"
    assert not kernel.asked


def test_link_local_addresses_do_not_count() -> None:
    """Every interface that is up may have one of IPv6, by itself."""
    kernel = Kernel()
    kernel.addresses = [Message(index=2, address="fe80::1", prefixlen=64)]
    assert ensure(kernel, {101: "shb-1-101"})


def test_an_uplink_is_read_back_by_its_marks() -> None:
    """Interface, tags and bridges are observed from the devices; one on another interface is a flaw."""
    eth1 = KernelLink(index=2, name="eth1", kind="")
    bridge = KernelLink(index=3, name="b", kind="bridge", alias=bridge_mark(), group=GROUP)
    device = KernelLink(
        index=4, name=DEVICE, kind="vlan", alias=uplink_mark("eth1"), group=GROUP, master=3, peer=2, vlan=101
    )
    seen = assemble([eth1, bridge, device], {}, {})
    assert seen.uplinks == {"eth1": Uplink(interface="eth1", segments={101: "b"})}
    astray = KernelLink(
        index=4, name=DEVICE, kind="vlan", alias=uplink_mark("eth1"), group=GROUP, master=3, peer=9, vlan=101
    )
    assert assemble([eth1, bridge, astray], {}, {}).uplinks["eth1"].flaw
