"""The network adapter on the real kernel: two hosts as network namespaces, with an underlay between them."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.system.network_rig import AGENT, UNDERLAY, Host, host_namespaces

from shoal.core.ifnames import guest_tap, host_tap_inner, segment_bridge, segment_device
from shoal_worker.network import GuestTap, HostTap, Links, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

VNI = 3 * 4096 + 100
BRIDGE = segment_bridge(VNI)
DEVICE = segment_device(VNI)
OVERLAY = {"a": "10.88.0.1", "b": "10.88.0.2"}


@pytest.fixture
def hosts(need: Callable[[str, bool], None]) -> Iterator[dict[str, Host]]:
    """Hosts `a` and `b`, joined by an underlay; nothing of them remains afterwards."""
    with host_namespaces(need) as found:
        yield found


def wanted(name: str, *, connected: bool = True) -> Links:
    """One segment and one host tap on the host `name`; the other one is its peer if they are connected."""
    (other,) = UNDERLAY.keys() - {name}
    return Links(
        segments={
            BRIDGE: Segment(
                segment=BRIDGE,
                vni=VNI,
                device=DEVICE,
                local=UNDERLAY[name],
                peers=frozenset({UNDERLAY[other]} if connected else ()),
            )
        },
        host_taps={"mega_tap0": HostTap(tap="mega_tap0", segment=BRIDGE, ip=f"{OVERLAY[name]}/24")},
    )


def test_a_segment_joins_two_hosts(hosts: dict[str, Host]) -> None:
    """Host taps on two hosts reach each other through the tunnel, with full frames, until the peers are removed."""
    for name, host in hosts.items():
        assert host.apply(wanted(name)).links == wanted(name)
    assert hosts["a"].ping(OVERLAY["b"])
    # on an underlay of 1500 the kernel answers the first full packet with "fragmentation needed": ping sets DF
    assert any(hosts["b"].ping(OVERLAY["a"], "-s", "1472") for _ in range(3))
    for name, host in hosts.items():
        assert host.apply(wanted(name, connected=False)).links == wanted(name, connected=False)
        # learning keeps the unicast entries for a while: forget them, as a peer that is gone would be forgotten
        host.ip("link", "set", DEVICE, "down")
        host.ip("link", "set", DEVICE, "up")
        host.ip("neigh", "flush", "dev", "mega_tap0")
    assert not hosts["a"].ping(OVERLAY["b"])


def test_full_frames_pass_unbroken_on_a_wider_underlay(hosts: dict[str, Host]) -> None:
    """With an underlay of 1550 bytes the very first full packet arrives, although it must not be fragmented."""
    for name, host in hosts.items():
        host.ip("link", "set", "under0", "mtu", "1550")
        host.apply(wanted(name))
    assert hosts["a"].ping(OVERLAY["b"], "-s", "1472")


def test_other_vnis_do_not_answer(hosts: dict[str, Host]) -> None:
    """The same VLAN and the same addresses under another key are another network."""
    hosts["a"].apply(wanted("a"))
    vni = VNI + 4096
    there = wanted("b").segments[BRIDGE]
    hosts["b"].apply(
        Links(
            segments={
                segment_bridge(vni): msgspec.structs.replace(
                    there, segment=segment_bridge(vni), device=segment_device(vni), vni=vni
                )
            },
            host_taps={
                "mega_tap0": HostTap(tap="mega_tap0", segment=segment_bridge(vni), ip=f"{OVERLAY['b']}/24")
            },
        )
    )
    assert not hosts["a"].ping(OVERLAY["b"])


def test_what_is_right_costs_nothing(hosts: dict[str, Host]) -> None:
    """A new connection observes what the one before it made, and finds nothing to do."""
    before = hosts["a"].apply(wanted("a"))
    again = hosts["a"].apply(wanted("a"))
    assert before.actions == 2
    assert again.actions == 0
    assert again.links == wanted("a")


def test_damage_is_mended(hosts: dict[str, Host]) -> None:
    """Links that were changed behind our back are seen as flawed and mended."""
    host = hosts["a"]
    host.apply(wanted("a"))
    for damage in (
        ("link", "set", BRIDGE, "down"),
        ("link", "set", DEVICE, "nomaster"),
        ("link", "set", DEVICE, "mtu", "1400"),
        ("link", "del", DEVICE),
        ("link", "set", BRIDGE, "type", "bridge", "mcast_snooping", "1"),
        ("link", "del", BRIDGE),
        ("link", "set", host_tap_inner("mega_tap0"), "nomaster"),
        ("link", "del", "mega_tap0"),
        ("addr", "del", f"{OVERLAY['a']}/24", "dev", "mega_tap0"),
    ):
        host.ip(*damage)
        assert host.observe() != wanted("a"), damage
        assert host.apply(wanted("a")).links == wanted("a"), damage


def test_an_address_is_replaced_and_strange_ones_stay(hosts: dict[str, Host]) -> None:
    """Of a host tap's addresses only the one that we gave is ours to take away."""
    host = hosts["a"]
    host.apply(wanted("a"))
    host.ip("addr", "add", "192.0.2.1/24", "dev", "mega_tap0")
    tap = HostTap(tap="mega_tap0", segment=BRIDGE, ip="fd00:88::1/64")
    host.apply(Links(segments=wanted("a").segments, host_taps={"mega_tap0": tap}))
    shown = json.loads(host.ip("-j", "addr", "show", "dev", "mega_tap0"))[0]["addr_info"]
    assert {entry["local"] for entry in shown} == {"192.0.2.1", "fd00:88::1"}


def test_guest_taps_persist_and_move(hosts: dict[str, Host]) -> None:
    """A guest's tap is there without a guest, moves between segments, and may be in none."""
    host = hosts["a"]
    tap = guest_tap("0123456789abcdef", 0)
    plain = Segment(segment="shp-other")
    links = Links()
    for segment in (BRIDGE, plain.segment, ""):
        links = Links(
            segments={**wanted("a").segments, plain.segment: plain},
            guest_taps={tap: GuestTap(tap=tap, segment=segment)},
        )
        assert host.apply(links).links == links
        assert json.loads(host.ip("-j", "link", "show", tap))[0].get("master", "") == segment
    host.ip("link", "set", tap, "down")
    assert host.apply(links).links == links


def test_links_are_quiet(hosts: dict[str, Host]) -> None:
    """None of our links makes IPv6 addresses by itself, and no bridge snoops on multicast."""
    hosts["a"].apply(wanted("a"))
    links = {link["ifname"]: link for link in json.loads(hosts["a"].ip("-d", "-j", "link"))}
    for name in (BRIDGE, DEVICE, "mega_tap0", host_tap_inner("mega_tap0")):
        assert links[name]["inet6_addr_gen_mode"] == "none"
        assert links[name]["mtu"] == 1500
        assert links[name]["ifalias"].startswith("shoal:")
    assert links[BRIDGE]["linkinfo"]["info_data"]["mcast_snooping"] == 0
    assert links[DEVICE]["linkinfo"]["info_data"]["learning"]


@pytest.mark.parametrize("name", [BRIDGE, DEVICE, "mega_tap0", host_tap_inner("mega_tap0")])
def test_a_foreign_interface_is_left_alone(hosts: dict[str, Host], name: str) -> None:
    """A wanted name that somebody else's interface bears is refused with its name, and never changed or removed."""
    host = hosts["a"]
    host.ip("link", "add", name, "type", "bridge")
    host.ip("link", "set", name, "alias", "the lab's own")
    before = host.ip("-d", "link", "show", name)
    answer = host.attempt(wanted("a"))
    assert f'{name} is taken by a bridge {name} with the alias "the lab\'s own"' in answer.error
    host.apply(Links())
    assert host.ip("-d", "link", "show", name) == before


def test_a_foreign_vni_is_named(hosts: dict[str, Host]) -> None:
    """A VNI that another overlay uses on our port is refused with that overlay's device."""
    host = hosts["a"]
    host.ip(
        "link", "add", "flannel.1", "type", "vxlan", "id", str(VNI), "dstport", "4789", "local", UNDERLAY["a"]
    )
    answer = host.attempt(wanted("a"))
    assert f"VNI {VNI} on UDP port 4789 is taken by vxlan flannel.1" in answer.error
    host.apply(Links())
    assert "flannel.1" in host.names()


def test_a_changed_local_address_or_port_makes_the_device_anew(hosts: dict[str, Host]) -> None:
    """What the kernel cannot change is made again, with its peers, and the tap stays in the bridge."""
    host = hosts["a"]
    host.apply(wanted("a"))
    segment = msgspec.structs.replace(wanted("a").segments[BRIDGE], local="10.77.0.9", udp_port=8472)
    links = Links(segments={BRIDGE: segment}, host_taps=wanted("a").host_taps)
    assert host.apply(links).links == links


def test_fifty_segments_come_and_go(hosts: dict[str, Host]) -> None:
    """Many segments are removed in one request, completely, while the event loop stays free."""
    host = hosts["a"]
    before = host.names()
    segments = {
        segment_bridge(vni): Segment(
            segment=segment_bridge(vni),
            vni=vni,
            device=segment_device(vni),
            local=UNDERLAY["a"],
            peers=frozenset({UNDERLAY["b"]}),
        )
        for vni in range(4097, 4147)
    }
    taps = {guest_tap("i", index): GuestTap(tap=guest_tap("i", index), segment=BRIDGE) for index in range(10)}
    links = Links(
        segments={**segments, **wanted("a").segments}, guest_taps=taps, host_taps=wanted("a").host_taps
    )
    assert host.apply(links).links == links
    answer = host.apply(Links())
    assert answer.links == Links()
    assert answer.actions == 1
    # how long the kernel takes depends on the machine; that it does not keep the event loop waiting does not
    assert answer.lag_s < 0.5 + answer.seconds / 2
    assert host.names() == before


def test_a_bystander_in_the_doomed_group_survives(hosts: dict[str, Host]) -> None:
    """Should anybody use the link group that we delete by, our links go one by one and theirs stays."""
    host = hosts["a"]
    host.apply(wanted("a"))
    host.ip("link", "add", "bystander", "type", "bridge")
    host.ip("link", "set", "bystander", "alias", "not yours", "group", str(0x5349))
    assert host.apply(Links()).links == Links()
    assert "bystander" in host.names()


def test_a_tap_without_its_segment_is_refused(hosts: dict[str, Host]) -> None:
    """A tap whose segment is not there is not made at all."""
    host = hosts["a"]
    before = host.names()
    answer = host.attempt(Links(guest_taps={"g": GuestTap(tap="g", segment=BRIDGE)}))
    assert answer.error == f"g cannot be put into the segment {BRIDGE}, which is not there"
    assert host.names() == before


def test_without_privilege_nothing_is_tried(need: Callable[[str, bool], None]) -> None:
    """A user without the privilege is told so at once."""
    need("root", os.geteuid() == 0)
    run = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", *AGENT],
        input=b'{"do":"observe"}\n',
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(run.stdout)["error"] == "no privilege to make network links: run as root"
