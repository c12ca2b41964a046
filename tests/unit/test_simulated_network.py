"""The simulated network keeps the rules of the real one."""

from __future__ import annotations

import pytest

from shoal_worker.network import GuestTap, HostTap, Links, Network, NetworkError, Segment
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

SEGMENT = Segment(segment="b", vni=4097, device="d", local="10.0.0.1", peers=frozenset({"10.0.0.2"}))


async def opened(kernel: SimulatedKernel) -> Network:
    network = SimulatedNetwork(kernel)
    await network.open()
    return network


async def test_links_survive_the_worker() -> None:
    """A second worker on the same kernel observes what the first one made."""
    kernel = SimulatedKernel()
    first = await opened(kernel)
    await first.ensure_segment(SEGMENT)
    await first.ensure_guest_tap(GuestTap(tap="g", segment="b"))
    await first.ensure_host_tap(HostTap(tap="h", segment="b", ip="10.9.0.1/24"))
    seen = await first.observe()
    await first.close()
    assert (
        await (await opened(kernel)).observe()
        == seen
        == Links(
            segments={"b": SEGMENT},
            guest_taps={"g": GuestTap(tap="g", segment="b")},
            host_taps={"h": HostTap(tap="h", segment="b", ip="10.9.0.1/24")},
        )
    )


async def test_a_closed_network_is_refused() -> None:
    """Nothing works before open or after close."""
    network = SimulatedNetwork(SimulatedKernel())
    with pytest.raises(NetworkError, match="not open"):
        await network.observe()


@pytest.mark.parametrize("name", ["b", "d"])
async def test_a_foreign_interface_is_named_and_left(name: str) -> None:
    """A wanted name that somebody else has is refused, with what it is, and nothing changes."""
    kernel = SimulatedKernel(foreign={name: "bridge docker0"})
    network = await opened(kernel)
    with pytest.raises(NetworkError, match=f"{name} is taken by a bridge docker0"):
        await network.ensure_segment(SEGMENT)
    await network.remove(frozenset({name}))
    assert kernel.foreign == {name: "bridge docker0"}
    assert await network.observe() == Links()


async def test_a_foreign_vni_is_named() -> None:
    """A VNI that another device has is refused, with that device's name."""
    network = await opened(SimulatedKernel(foreign_vnis={4097: "flannel.1"}))
    with pytest.raises(NetworkError, match=r"VNI 4097 on UDP port 4789 is taken by flannel\.1"):
        await network.ensure_segment(SEGMENT)


async def test_a_tap_needs_its_segment() -> None:
    """A tap is not put into a segment that is not there; without a segment it may exist."""
    network = await opened(SimulatedKernel())
    with pytest.raises(NetworkError, match="segment b, which is not there"):
        await network.ensure_guest_tap(GuestTap(tap="g", segment="b"))
    with pytest.raises(NetworkError, match="segment b, which is not there"):
        await network.ensure_host_tap(HostTap(tap="h", segment="b"))
    await network.ensure_guest_tap(GuestTap(tap="g", segment=""))


async def test_taps_outlive_their_bridge() -> None:
    """Removing a segment leaves its taps, in no segment."""
    network = await opened(SimulatedKernel())
    await network.ensure_segment(SEGMENT)
    await network.ensure_guest_tap(GuestTap(tap="g", segment="b"))
    await network.ensure_host_tap(HostTap(tap="h", segment="b", ip="10.9.0.1/24"))
    await network.remove(frozenset({"b", "missing"}))
    assert await network.observe() == Links(
        guest_taps={"g": GuestTap(tap="g", segment="")},
        host_taps={"h": HostTap(tap="h", segment="", ip="10.9.0.1/24")},
    )


async def test_a_device_can_be_removed_alone() -> None:
    """Removing the VXLAN device leaves the bridge."""
    network = await opened(SimulatedKernel())
    await network.ensure_segment(SEGMENT)
    await network.remove(frozenset({"d"}))
    assert await network.observe() == Links(segments={"b": Segment(segment="b")})


async def test_a_name_of_another_kind_is_refused() -> None:
    """Our own link of another kind is not turned into what is wanted."""
    network = await opened(SimulatedKernel())
    await network.ensure_guest_tap(GuestTap(tap="b", segment=""))
    with pytest.raises(NetworkError, match="another kind"):
        await network.ensure_segment(SEGMENT)
