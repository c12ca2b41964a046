"""Load and the policies that compare hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.load import POLICIES, Capacity, Load, Policy, load_of, parse_policy, rank, total, weight
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.errors import InvalidRequest

COUNTS = st.integers(0, 10_000)
LOADS = st.builds(Load, vcpus=COUNTS, memory_mib=COUNTS, nics=COUNTS, vms=COUNTS)
CAPACITIES = st.builds(Capacity, cpus=st.integers(0, 512), memory_mib=st.integers(0, 2**21))


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("cpucommit", "cpucommit"),
        ("memload", "memload"),
        ("memcommit", "memload"),
        ("mem", "memload"),
        ("n", "netcommit"),
    ],
)
def test_policies_have_names_prefixes_and_an_alias(text: str, policy: Policy) -> None:
    """The three policies, memcommit, and unambiguous prefixes of them are understood."""
    assert parse_policy(text) == policy


@pytest.mark.parametrize("text", ["", "x", "memloads", "CPUCOMMIT"])
def test_other_policies_are_refused(text: str) -> None:
    """The refusal lists the policies that there are."""
    with pytest.raises(InvalidRequest, match="expected cpucommit, netcommit, memload"):
        parse_policy(text)


def test_what_a_vm_is_promised() -> None:
    """A VM counts with its vCPUs, memory and interfaces."""
    config = VMConfig(vcpus=2, memory_mib=512, networks=(NetSpec(vlan="LAN"), NetSpec(vlan="DMZ")))
    assert load_of(config) == Load(vcpus=2, memory_mib=512, nics=2, vms=1)
    assert total([load_of(config), Load(vms=1)]) == Load(vcpus=2, memory_mib=512, nics=2, vms=2)
    assert total([]) == Load()


def test_lower_ranks_are_better() -> None:
    """By sums: fewest vCPUs, fewest interfaces, most memory left; relative: by the share of the host."""
    load = Load(vcpus=6, memory_mib=3000, nics=2, vms=3)
    host = Capacity(cpus=4, memory_mib=4000)
    assert rank("cpucommit", False, load, host) == 6
    assert rank("netcommit", False, load, host) == 2
    assert rank("memload", False, load, host) == -1000
    assert rank("cpucommit", True, load, host) == 1.5
    assert rank("netcommit", True, load, host) == 2
    assert rank("memload", True, load, host) == 0.75


@given(st.sampled_from(POLICIES), st.booleans(), LOADS, LOADS, CAPACITIES)
def test_load_never_improves_a_rank(
    policy: Policy, relative: bool, before: Load, more: Load, host: Capacity
) -> None:
    """Whatever is added to a host, its rank gets no better, and by `weight` worse where ranks are sums."""
    after = rank(policy, relative, total([before, more]), host)
    assert after >= rank(policy, relative, before, host)
    if not relative:
        assert after - rank(policy, relative, before, host) == weight(policy, more)
