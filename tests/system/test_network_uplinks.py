"""Uplinks on the real kernel: a veth pair in a network namespace plays the card and the port of the switch."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.system.network_rig import UNDERLAY, Host, host_namespaces

from shoal.core.ifnames import uplink_device
from shoal_worker.network import Links, Segment, Uplink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

SEGMENT = Segment(segment="shp-uplink")
NO_VLANS = (
    "the kernel has no 802.1Q devices, which an uplink needs to tag its VLANs: try `modprobe 8021q` there"
)


@pytest.fixture
def host(need: Callable[[str, bool], None]) -> Iterator[Host]:
    """A host with the card `card`, whose other end `switch` is the switch's."""
    need("root", os.geteuid() == 0)
    with host_namespaces(need) as found:
        host = found["a"]
        host.ip("link", "add", "card", "type", "veth", "peer", "switch")
        for name in ("card", "switch"):
            host.ip("link", "set", name, "up")
        yield host


def links(interface: str = "card") -> Links:
    """An uplink that carries VLAN 7 of one segment."""
    return Links(
        segments={SEGMENT.segment: SEGMENT},
        uplinks={interface: Uplink(interface=interface, segments={7: SEGMENT.segment})},
    )


def test_a_free_card_becomes_an_uplink_or_the_kernel_says_why_not(host: Host) -> None:
    """Where the kernel has 802.1Q a tagged device joins card and segment, and goes; else that is the one error."""
    before = host.ip("-d", "link", "show", "card")
    answer = host.attempt(links())
    if answer.error:
        assert answer.error == NO_VLANS
    else:
        assert answer.links == links()
        assert uplink_device("card", 7) in host.names()
    host.apply(Links())
    assert uplink_device("card", 7) not in host.names()
    assert host.ip("-d", "link", "show", "card").split("promiscuity")[0] == before.split("promiscuity")[0]


def test_cards_in_use_are_refused_and_left_alone(host: Host) -> None:
    """An address, the default route, somebody's bridge, being down, not being there: each is named, none is changed."""
    host.ip("link", "add", "theirs", "type", "bridge")
    cases: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
        (
            ("addr", "add", "192.0.2.1/24", "dev", "card"),
            ("addr", "del", "192.0.2.1/24", "dev", "card"),
            "it has the address 192.0.2.1/24",
        ),
        (
            ("route", "add", "default", "dev", "card"),
            ("route", "del", "default", "dev", "card"),
            "the default route goes through it",
        ),
        (
            ("link", "set", "card", "master", "theirs"),
            ("link", "set", "card", "nomaster"),
            "it is a port of theirs",
        ),
        (
            ("link", "set", "card", "down"),
            ("link", "set", "card", "up"),
            "it is down; `ip link set card up` there",
        ),
    ]
    for use, release, why in cases:
        host.ip(*use)
        before = host.ip("-d", "link", "show", "card")
        assert host.attempt(links()).error == f"card can be no uplink: {why}"
        assert host.ip("-d", "link", "show", "card") == before
        host.ip(*release)
    assert host.attempt(links("nowhere")).error == "nowhere can be no uplink: there is no such interface"
    assert host.attempt(links("under0")).error.endswith(f"it has the address {UNDERLAY['a']}/24")
