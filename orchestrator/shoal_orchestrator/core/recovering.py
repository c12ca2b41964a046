"""VMs of hosts that an operator has declared dead, launched again on others: who they are, and their new records.

This module refuses to know how hosts are chosen, and to doubt the operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from shoal.core.ids import Ids, token
from shoal.messages.desired import LaunchRecord, Power
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import gone
from shoal_orchestrator.core.model import Model


def is_dead(model: Model, host: str) -> bool:
    """Whether an operator has declared a host dead."""
    record = model.hosts.get(host)
    return record is not None and record.fenced


def stranded(model: Model, namespace: str) -> list[LaunchRecord]:
    """The VMs of a namespace that should be there, on hosts that are dead, oldest first."""
    dead = {host for host, record in model.hosts.items() if record.fenced}
    if not dead:
        return []
    found = (vm for vm in model.launches[namespace].values() if vm.host in dead and vm.power != "off")
    return sorted(found, key=lambda vm: vm.id)


def move_elsewhere(
    model: Model,
    hosts: Mapping[str, str],
    vms: Iterable[LaunchRecord],
    ids: Ids,
    *,
    power: Power | None = None,
) -> tuple[Changes, list[LaunchRecord]]:
    """Launch VMs again as new instances on `hosts` (by VM's name), and end the old ones for good, in one change.

    A host that was dead by mistake finds `gone` for each when it is back. `power` None: as each was. A VM whose record is
    not this one any more is left alone: it was killed, or somebody else has moved it.
    """
    changes = Changes()
    moved: list[LaunchRecord] = []
    for vm in vms:
        if model.launches[vm.namespace].get(vm.name) is not vm:
            continue
        host = hosts[vm.name]
        again = replace(
            vm,
            host=host,
            incarnation=model.hosts[host].incarnation,
            instance=token(ids, 96),
            revision=vm.revision + 1,
            power=power or vm.power,
        )
        moved.append(again)
        changes.put(gone(model, vm), again)
    return changes, moved
