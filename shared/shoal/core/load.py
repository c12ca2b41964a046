"""Load of hosts: what VMs have been promised, what hosts have, and the policies that compare hosts.

This module refuses to know which VMs and hosts there are.

The policies are the source document's (DESIGN.md section 4). They compare what was promised, not what is used, so
that a placement follows from the queue alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from shoal.core.vmconfig import VMConfig
from shoal.errors import InvalidRequest

Policy = Literal["cpucommit", "netcommit", "memload"]

POLICIES: tuple[Policy, ...] = ("cpucommit", "netcommit", "memload")
DEFAULT_POLICY: Policy = "cpucommit"
#: the peer's name of memload
MEMCOMMIT = "memcommit"


class Load(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What VMs on a host have been promised: vCPUs, memory (MiB), network interfaces, and how many VMs."""

    vcpus: int = 0
    memory_mib: int = 0
    nics: int = 0
    vms: int = 0


class Capacity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host has."""

    cpus: int
    memory_mib: int


class Quota(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The most that may be promised, on a host or to a namespace; -1 is no limit."""

    vcpus: int = -1
    memory_mib: int = -1
    vms: int = -1


def host_quota(capacity: Capacity, *, vcpu_ratio: float = 0, memory_ratio: float = 0, vms: int = -1) -> Quota:
    """What a host of this capacity may be promised under overcommit ratios; a ratio of 0 is no limit."""
    return Quota(
        vcpus=math.floor(capacity.cpus * vcpu_ratio) if vcpu_ratio > 0 else -1,
        memory_mib=math.floor(capacity.memory_mib * memory_ratio) if memory_ratio > 0 else -1,
        vms=vms,
    )


def load_of(config: VMConfig) -> Load:
    """Return what one VM of this configuration is promised."""
    return Load(vcpus=config.vcpus, memory_mib=config.memory_mib, nics=len(config.networks), vms=1)


def total(loads: Iterable[Load]) -> Load:
    """Return the sum of loads; of none, no load."""
    vcpus = memory_mib = nics = vms = 0
    for load in loads:
        vcpus += load.vcpus
        memory_mib += load.memory_mib
        nics += load.nics
        vms += load.vms
    return Load(vcpus=vcpus, memory_mib=memory_mib, nics=nics, vms=vms)


def parse_policy(text: str) -> Policy:
    """Return the policy of that name or unambiguous prefix; `memcommit` is memload.

    Raises InvalidRequest for anything else.
    """
    found: set[Policy] = {policy for policy in POLICIES if text and policy.startswith(text)}
    if text and MEMCOMMIT.startswith(text):
        found.add("memload")
    if len(found) != 1:
        raise InvalidRequest(f"invalid load policy: `{text}`; expected {', '.join(POLICIES)}")
    return found.pop()


def rank(policy: Policy, relative: bool, load: Load, capacity: Capacity) -> float:
    """Return a number by which hosts compare: lower is better, equal is equally loaded.

    `relative` divides by the host's capacity, for mixed clusters; interfaces have no capacity to divide by.
    Absolute ranks are integers. Relative ones are exact enough: quotients of equal value are the same float, and
    others differ as long as capacities stay below 2**26.
    """
    if policy == "netcommit":
        return load.nics
    if policy == "cpucommit":
        return load.vcpus / max(1, capacity.cpus) if relative else load.vcpus
    if relative:
        return load.memory_mib / max(1, capacity.memory_mib)
    # the memory that is left, most first
    return load.memory_mib - capacity.memory_mib


def weight(policy: Policy, load: Load) -> int:
    """Return what a VM of this load adds to the absolute rank of its host."""
    if policy == "netcommit":
        return load.nics
    return load.vcpus if policy == "cpucommit" else load.memory_mib
