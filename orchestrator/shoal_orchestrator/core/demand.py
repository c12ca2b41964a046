"""What the planner is asked: a namespace's queue as items, its hosts as views, its VMs as residents.

This module refuses to know how hosts are chosen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from shoal.core.load import Capacity, Load, Quota, load_of, total
from shoal.core.ranges import expand
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.model import PRESENT, Model, add_loads
from shoal_orchestrator.core.observed import SeenHost
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item
from shoal_orchestrator.core.records import QueueEntry


def names_of(entry: QueueEntry) -> tuple[str, ...]:
    """The names of an entry's VMs in their order; empty for VMs launched by number."""
    return tuple(expand(entry.names)) if entry.names else ()


def _item(config: VMConfig, names: tuple[str, ...], count: int, head: str) -> Item:
    return Item(
        names=names,
        count=count,
        vcpus=config.vcpus,
        memory_mib=config.memory_mib,
        nics=len(config.networks),
        schedule=head if config.schedule == "localhost" else config.schedule,
        coschedule=config.coschedule,
        colocate=config.colocate,
    )


def item_of_vm(record: LaunchRecord, head: str) -> Item:
    """A VM that exists as the planner's item, as if it were launched again."""
    return _item(record.config, (record.name,), 1, head)


def item_of(entry: QueueEntry, head: str) -> Item:
    """A queue entry as the planner's item."""
    return _item(entry.config, names_of(entry), entry.count, head)


def items_of(entries: Sequence[QueueEntry], head: str) -> list[Item]:
    """Queue entries as the planner's items, in order."""
    return [item_of(entry, head) for entry in entries]


def residents_of(model: Model, namespace: str) -> dict[str, str]:
    """Where the namespace's VMs are: what a queued VM may be colocated with."""
    return {
        name: record.host for name, record in model.launches[namespace].items() if record.power in PRESENT
    }


def promised_to(model: Model, namespace: str) -> Load:
    """What the namespace's VMs are promised on all hosts, launches in flight included, the queue not."""
    return total(load_of(vm.config) for vm in model.launches[namespace].values() if vm.power in PRESENT)


def view_of(model: Model, host: str, seen: SeenHost | None) -> HostView:
    """One host as the planner sees it: our VMs of all namespaces as desired, foreign ones as last heard of."""
    beat = seen.heartbeat if seen else None
    record = model.hosts.get(host)
    limits = tuple(
        CoscheduleLimit(vm.name, vm.config.coschedule)
        for vm in model.residents.get(host, {}).values()
        if vm.config.coschedule >= 0
    )
    reason = ""
    if record is not None and record.role == "edge":
        reason = f"{host} is the head and takes no VMs (start the lab or its worker with --head-worker)"
    elif seen is None or beat is None:
        reason = f"{host} has not been heard of"
    elif seen.state != "alive":
        reason = f"{host} is {seen.state}: its heartbeats are missing"
    elif beat.held_back:
        reason = f"{host} does nothing: {beat.held_back}"
    elif record is not None and record.draining:
        reason = f"{host} is draining: it gets no new VMs until `host resume {host}`"
    load = add_loads(model.loads.get(host, Load()), beat.foreign if beat else Load())
    return HostView(
        name=host,
        capacity=beat.capacity if beat else Capacity(cpus=0, memory_mib=0),
        load=load,
        limits=limits,
        quota=beat.limit if beat else Quota(),
        accepting=not reason,
        reason=reason,
    )


def views_of(model: Model, hosts: Iterable[str], seen: Mapping[str, SeenHost]) -> list[HostView]:
    """Hosts as the planner sees them."""
    return [view_of(model, host, seen.get(host)) for host in hosts]
