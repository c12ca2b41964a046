"""The names of interfaces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core import ifnames

vnis = st.integers(1, 2**24 - 1)
texts = st.text(min_size=1, max_size=80)


@given(vni=vnis, bridge=texts, vlan=st.integers(1, 4094), instance=texts, index=st.integers(0, 99), tap=texts)
def test_every_derived_name_is_valid_and_recognised(
    vni: int, bridge: str, vlan: int, instance: str, index: int, tap: str
) -> None:
    """Whatever a name is derived from, the kernel takes it, and it is told from a user's."""
    for name in (
        ifnames.segment_bridge(vni),
        ifnames.segment_device(vni),
        ifnames.plain_bridge(bridge, vlan),
        ifnames.guest_tap(instance, index),
        ifnames.host_tap_inner(tap),
    ):
        assert ifnames.valid_interface_name(name)
        assert len(name.encode()) <= ifnames.MAX_NAME_LENGTH
        assert ifnames.is_derived(name)


@given(one=vnis, other=vnis)
def test_a_vni_has_names_of_its_own(one: int, other: int) -> None:
    """Two VNIs share a name only if they are the same."""
    assert (ifnames.segment_bridge(one) == ifnames.segment_bridge(other)) == (one == other)
    assert (ifnames.segment_device(one) == ifnames.segment_device(other)) == (one == other)
    assert ifnames.segment_bridge(one) != ifnames.segment_device(other)


def test_key_and_vlan_can_be_read_from_a_segments_name() -> None:
    """VNI = key * 4096 + VLAN stands in the name as people count it."""
    assert ifnames.segment_bridge(12 * 4096 + 100) == "shb-12-100"
    assert ifnames.segment_device(4095 * 4096 + 4094) == "shx-4095-4094"


@given(tap=st.lists(st.tuples(texts, st.integers(0, 99)), unique=True, max_size=50))
def test_guest_taps_differ(tap: list[tuple[str, int]]) -> None:
    """Every interface of every instance has a tap of its own."""
    assert len({ifnames.guest_tap(instance, index) for instance, index in tap}) == len(tap)


def test_names_never_change() -> None:
    """Orchestrators and workers of different versions derive the same names."""
    assert ifnames.plain_bridge("lab", 7) == "shp-jhunaxxw5g3"
    assert ifnames.guest_tap("0123456789abcdef", 0) == "sht-lmfp6ojg5-0"
    assert ifnames.guest_tap("0123456789abcdef", 12) == "sht-lmfp6ojg-12"
    assert ifnames.host_tap_inner("mega_tap0") == "shv-y4y3p37odn6"
    assert ifnames.plain_bridge("lab1", 2) != ifnames.plain_bridge("lab", 12)


@pytest.mark.parametrize("vni", [0, -1, 2**24])
def test_no_names_outside_the_24_bits_of_a_vni(vni: int) -> None:
    """A VNI that VXLAN cannot carry has no names."""
    with pytest.raises(ValueError, match=f"VNI {vni}"):
        ifnames.segment_bridge(vni)


@pytest.mark.parametrize("index", [-1, 100])
def test_no_tap_for_an_impossible_interface(index: int) -> None:
    """A machine has interfaces 0 to 99."""
    with pytest.raises(ValueError, match="expected 0 to 99"):
        ifnames.guest_tap("i", index)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "all",
        "default",
        "a" * 16,
        "a/b",
        "a:b",
        "a b",
        "a\n",
        "tap%d",
        "-n",
        "täp",
        "a\0",
        "\uff41",
    ],
)
def test_names_that_linux_or_its_tools_would_not_take(name: str) -> None:
    """A name that the kernel refuses, or that cannot be typed safely, is not valid."""
    assert not ifnames.valid_interface_name(name)


@pytest.mark.parametrize("name", ["a", "mega_tap0", "a" * 15, "eth0.100", "foo-bar", "tap@1"])
def test_names_that_users_give(name: str) -> None:
    """Ordinary names are valid and not of a derived form."""
    assert ifnames.valid_interface_name(name)
    assert not ifnames.is_derived(name)
