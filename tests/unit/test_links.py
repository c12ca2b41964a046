"""The difference between the links that are wanted and those that are there."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from shoal_worker.core.links import Action, EnsureGuestTap, EnsureHostTap, EnsureSegment, Remove, diff
from shoal_worker.network import GuestTap, HostTap, Links, Network, Segment
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

_ADDRESSES = st.frozensets(st.sampled_from(["10.0.0.2", "10.0.0.3", "10.0.0.4"]))


@st.composite
def segment_tables(draw: st.DrawFn) -> dict[str, Segment]:
    """Segments of few names, VNIs, devices and ports, so that two tables often contradict each other."""
    vnis = draw(st.lists(st.integers(0, 4), max_size=4, unique_by=lambda vni: vni or object()))
    names = draw(st.permutations([f"name{number}" for number in range(6)]))
    devices = draw(st.permutations([f"device{number}" for number in range(6)]))
    return {
        name: Segment(
            segment=name,
            vni=vni,
            device=device if vni else "",
            local="10.0.0.1" if vni else "",
            udp_port=draw(st.sampled_from([4789, 8472])) if vni else 4789,
            peers=draw(_ADDRESSES) if vni else frozenset(),
        )
        for name, device, vni in zip(names, devices, vnis, strict=False)
    }


@st.composite
def links(draw: st.DrawFn) -> Links:
    """Links that may exist together: names are unique, taps are in segments that are there or in none."""
    segments = draw(segment_tables())
    free = [f"name{number}" for number in range(9) if f"name{number}" not in segments]
    homes = st.sampled_from(["", *sorted(segments)])
    taps = draw(st.lists(st.sampled_from(free), unique=True, max_size=5))
    split = draw(st.integers(0, len(taps)))
    return Links(
        segments=segments,
        guest_taps={name: GuestTap(tap=name, segment=draw(homes)) for name in taps[:split]},
        host_taps={
            name: HostTap(tap=name, segment=draw(homes), ip=draw(st.sampled_from(["", "10.1.0.1/24"])))
            for name in taps[split:]
        },
    )


async def apply(network: Network, actions: tuple[Action, ...]) -> None:
    """Carry out actions in their order."""
    for action in actions:
        match action:
            case Remove(names=names):
                await network.remove(names)
            case EnsureSegment(segment=segment):
                await network.ensure_segment(segment)
            case EnsureGuestTap(tap=guest_tap):
                await network.ensure_guest_tap(guest_tap)
            case EnsureHostTap(tap=host_tap):
                await network.ensure_host_tap(host_tap)


@given(state=links())
def test_nothing_is_done_when_all_is_there(state: Links) -> None:
    """diff(x, x) == ()."""
    assert diff(state, state) == ()


@given(desired=links(), before=links())
def test_applying_the_difference_observes_what_is_desired(desired: Links, before: Links) -> None:
    """From any state, one round of actions leads to the desired one."""

    async def scenario() -> Links:
        kernel = SimulatedKernel(
            segments=dict(before.segments),
            guest_taps=dict(before.guest_taps),
            host_taps=dict(before.host_taps),
        )
        network = SimulatedNetwork(kernel)
        await network.open()
        await apply(network, diff(desired, await network.observe()))
        return await network.observe()

    assert asyncio.run(scenario()) == desired


@given(desired=links(), before=links())
def test_what_is_right_is_left_alone(desired: Links, before: Links) -> None:
    """An object that is wanted as it is appears in no action."""
    touched: set[str] = set()
    for action in diff(desired, before):
        match action:
            case Remove(names=names):
                touched |= names
            case EnsureSegment(segment=segment):
                touched.add(segment.segment)
            case EnsureGuestTap(tap=guest_tap):
                touched.add(guest_tap.tap)
            case EnsureHostTap(tap=host_tap):
                touched.add(host_tap.tap)
    same = (
        {name for name, value in desired.segments.items() if before.segments.get(name) == value}
        | {name for name, value in desired.guest_taps.items() if before.guest_taps.get(name) == value}
        | {name for name, value in desired.host_taps.items() if before.host_taps.get(name) == value}
    )
    assert not touched & same


def test_all_removals_are_one_action_and_come_first() -> None:
    """Removing many links costs one request."""
    before = Links(
        segments={"b": Segment(segment="b"), "c": Segment(segment="c")},
        host_taps={"t": HostTap(tap="t", segment="b")},
    )
    desired = Links(segments={"a": Segment(segment="a")})
    assert diff(desired, before) == (
        Remove(frozenset({"b", "c", "t"})),
        EnsureSegment(Segment(segment="a")),
    )


def test_a_wrong_vni_costs_the_device_but_not_the_bridge() -> None:
    """The bridge stays, with the taps that are in it."""
    before = Segment(segment="b", vni=1, device="d", local="10.0.0.1")
    desired = Segment(segment="b", vni=2, device="d", local="10.0.0.1")
    actions = diff(Links(segments={"b": desired}), Links(segments={"b": before}))
    assert actions == (Remove(frozenset({"d"})), EnsureSegment(desired))


def test_a_flaw_is_mended() -> None:
    """What is there but not sound is made again, not removed."""
    tap = GuestTap(tap="t", segment="")
    actions = diff(
        Links(guest_taps={"t": tap}),
        Links(guest_taps={"t": GuestTap(tap="t", segment="", flaw="t is down")}),
    )
    assert actions == (EnsureGuestTap(tap),)
