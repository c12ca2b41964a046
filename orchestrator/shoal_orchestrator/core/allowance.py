"""A namespace's own limits (`ns limit`): what its VMs may still be promised, whatever the hosts have.

This module refuses to know hosts.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.load import Load
from shoal_orchestrator.core.placement import NamespaceLimit
from shoal_orchestrator.core.units import Batch


def exceeded(limit: NamespaceLimit, used: Load, wanted: Load) -> list[str]:
    """Return, in words, which limits of a namespace `wanted` exceeds when `used` is promised already."""
    who = f"namespace {limit.namespace}" if limit.namespace else "the namespace"
    quota = limit.quota
    return [
        f"{who} may have {most} {what} (ns limit {word}): {now} are promised, {more} more are wanted"
        for what, word, most, now, more in (
            ("vCPUs", "vcpus", quota.vcpus, used.vcpus, wanted.vcpus),
            ("MiB of memory", "memory", quota.memory_mib, used.memory_mib, wanted.memory_mib),
            ("VMs", "vms", quota.vms, used.vms, wanted.vms),
        )
        if more and 0 <= most < now + more
    ]


def wanted_by(batches: Sequence[Batch], used: Load) -> Load:
    """Return the sum of `used` and all units of the batches."""
    vcpus, memory_mib, nics, vms = used.vcpus, used.memory_mib, used.nics, used.vms
    for batch in batches:
        load, count = batch.load, batch.count
        vcpus += load.vcpus * count
        memory_mib += load.memory_mib * count
        nics += load.nics * count
        vms += load.vms * count
    return Load(vcpus=vcpus, memory_mib=memory_mib, nics=nics, vms=vms)


def trim(
    batches: Sequence[Batch], limit: NamespaceLimit
) -> tuple[list[Batch], list[tuple[Sequence[int], str]]]:
    """Return the units that a namespace may have, in planning order; and the slots of the others, and why."""
    used = limit.used
    kept: list[Batch] = []
    others: list[tuple[Sequence[int], str]] = []
    for batch in batches:
        many = batch.count
        for most, now, more in (
            (limit.quota.vcpus, used.vcpus, batch.load.vcpus),
            (limit.quota.memory_mib, used.memory_mib, batch.load.memory_mib),
            (limit.quota.vms, used.vms, batch.load.vms),
        ):
            if most >= 0 and more:
                many = min(many, max(0, most - now) // more)
        if many:
            kept.append(batch.part(slice(many)))
            used = wanted_by(kept[-1:], used)
        if many < batch.count:
            others.append((batch.slots[many * batch.size :], "; ".join(exceeded(limit, used, batch.load))))
    return kept, others
