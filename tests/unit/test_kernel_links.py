"""What the kernel's links tell of segments and taps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.core.ifnames import host_tap_inner
from shoal_worker.core import kernel_links
from shoal_worker.core.kernel_links import DOOMED_GROUP, GROUP, KernelLink, assemble
from shoal_worker.core.links import EnsureSegment, Remove, diff
from shoal_worker.network import GuestTap, HostTap, Links, Segment

BRIDGE = KernelLink(index=2, name="b", kind="bridge", alias=kernel_links.bridge_mark(), group=GROUP)
DEVICE = KernelLink(
    index=3,
    name="d",
    kind="vxlan",
    alias=kernel_links.vxlan_mark("b"),
    group=GROUP,
    master=2,
    vni=4097,
    local="10.0.0.1",
    udp_port=4789,
)
GUEST = KernelLink(index=4, name="g", kind="tun", alias=kernel_links.guest_mark(), group=GROUP, master=2)
OUTER = KernelLink(
    index=5, name="h", kind="veth", alias=kernel_links.host_mark("10.9.0.1/24"), group=GROUP, peer=6
)
INNER = KernelLink(
    index=6,
    name=host_tap_inner("h"),
    kind="veth",
    alias=kernel_links.inner_mark("h"),
    group=GROUP,
    peer=5,
    master=2,
)
SOUND = (BRIDGE, DEVICE, GUEST, OUTER, INNER)
FLOODS = {3: frozenset({"10.0.0.2"})}
ADDRESSES = {5: frozenset({"10.9.0.1/24", "192.0.2.7/24"})}
SEGMENT = Segment(segment="b", vni=4097, device="d", local="10.0.0.1", peers=frozenset({"10.0.0.2"}))


def test_sound_links_are_read_back_as_they_were_wanted() -> None:
    """Marked links make up segments, guest taps and host taps without a flaw; strangers are left out."""
    strangers = (
        KernelLink(index=1, name="lo", kind=""),
        KernelLink(index=9, name="docker0", kind="bridge"),
        KernelLink(index=10, name="x", kind="bridge", alias="somebody's", group=GROUP),
    )
    assert assemble((*strangers, *SOUND), FLOODS, ADDRESSES) == Links(
        segments={"b": SEGMENT},
        guest_taps={"g": GuestTap(tap="g", segment="b")},
        host_taps={"h": HostTap(tap="h", segment="b", ip="10.9.0.1/24")},
    )


@pytest.mark.parametrize("broken", [BRIDGE, DEVICE, GUEST, OUTER, INNER], ids=lambda link: str(link.name))
@pytest.mark.parametrize(
    "change",
    [{"up": False}, {"mtu": 1400}, {"group": DOOMED_GROUP}, {"alias": ""}],
    ids=["down", "mtu", "group", "unmarked"],
)
def test_no_broken_link_looks_sound(broken: KernelLink, change: dict[str, object]) -> None:
    """Whatever is wrong with one of our links, the observation differs from the sound one, and stays ours."""
    sound = assemble(SOUND, FLOODS, ADDRESSES)
    changed = replace(broken, **change)  # type: ignore[arg-type]  # the parameters name fields of it
    seen = assemble(tuple(changed if link is broken else link for link in SOUND), FLOODS, ADDRESSES)
    assert diff(sound, seen) != ()
    assert diff(Links(), seen) != ()


def test_a_device_without_its_bridge_is_a_flawed_segment() -> None:
    """It is made sound when wanted and removed when not, by the segment's name."""
    seen = assemble((DEVICE,), FLOODS, {})
    assert seen.segments["b"].flaw
    assert Remove(frozenset({"b"})) in diff(Links(), seen)
    assert EnsureSegment(SEGMENT) in diff(Links(segments={"b": SEGMENT}), seen)


def test_a_device_outside_its_bridge_is_a_flaw() -> None:
    """A VXLAN device that was taken out of its bridge is noticed."""
    assert "not in b" in assemble((BRIDGE, replace(DEVICE, master=0)), FLOODS, {}).segments["b"].flaw


def test_a_bridge_that_lost_its_device_differs() -> None:
    """The segment is then seen as a bridge alone, which is not what is wanted."""
    assert assemble((BRIDGE,), {}, {}).segments == {"b": Segment(segment="b")}


def test_a_second_device_of_one_segment_goes() -> None:
    """Two devices that claim the same bridge: one of them is removed, under its own name."""
    second = replace(DEVICE, index=7, name="e")
    actions = diff(Links(segments={"b": SEGMENT}), assemble((BRIDGE, DEVICE, second), FLOODS, {}))
    (removal,) = (action for action in actions if isinstance(action, Remove))
    assert removal.names & {"d", "e"}


def test_half_made_links_are_removed_when_nobody_wants_them() -> None:
    """A worker that died between making a link and marking it leaves nothing for ever."""
    half_made = tuple(replace(link, alias="") for link in SOUND)
    seen = assemble(half_made, {}, {})
    assert diff(Links(), seen) == (Remove(frozenset(link.name for link in half_made)),)


@pytest.mark.parametrize("missing", [OUTER, INNER], ids=lambda link: str(link.name))
def test_half_a_pair_is_a_flaw(missing: KernelLink) -> None:
    """An end that was moved to another network namespace is noticed under the tap's name."""
    seen = assemble(tuple(link for link in SOUND if link is not missing), FLOODS, ADDRESSES)
    assert "end is gone" in seen.host_taps["h"].flaw


@pytest.mark.parametrize("ip", ["10.9.0.2/24", "10.9.0.1/16", "nonsense"])
def test_a_lost_address_is_a_flaw(ip: str) -> None:
    """The address that the mark tells of must be there, with its prefix."""
    links = (BRIDGE, replace(OUTER, alias=kernel_links.host_mark(ip)), INNER)
    assert "lost its address" in assemble(links, {}, ADDRESSES).host_taps["h"].flaw


def test_ipv6_addresses_compare_by_value() -> None:
    """Another spelling of the same address is the same address."""
    links = (BRIDGE, replace(OUTER, alias=kernel_links.host_mark("fd00:0::1/64")), INNER)
    tap = assemble(links, {}, {5: frozenset({"fd00::1/64"})}).host_taps["h"]
    assert tap == HostTap(tap="h", segment="b", ip="fd00:0::1/64")


def test_snooping_on_multicast_is_a_flaw() -> None:
    """A bridge that was made before it was told not to snoop is mended."""
    assert "snoops" in assemble((replace(BRIDGE, snooping=True),), {}, {}).segments["b"].flaw
