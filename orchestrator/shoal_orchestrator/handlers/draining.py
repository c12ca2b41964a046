"""Handlers of draining: hosts that get nothing new, and where their VMs would go."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from shoal.core.load import parse_policy
from shoal.core.ranges import fold, natural_key
from shoal.messages.base import Done
from shoal.messages.events import HostDraining, HostResumed
from shoal.messages.hosts import Drained, DrainHosts, DrainRow, ResumeHosts
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import item_of_vm, residents_of, view_of
from shoal_orchestrator.core.placement import HostView, after
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord
from shoal_orchestrator.core.scheduler import place_some
from shoal_orchestrator.handlers.hosts import named_hosts
from shoal_orchestrator.leader import Call, Leader


def _records(leader: Leader, text: str) -> list[HostRecord]:
    return [leader.model.hosts[host] for host in dict.fromkeys(named_hosts(leader, text))]


async def drain_hosts(leader: Leader, _: str, request: DrainHosts, call: Call) -> Drained:
    """Mark hosts as draining, or tell where their VMs would go."""
    records = _records(leader, request.hosts)
    if request.dry_run:
        return _dry_run(leader, {record.name for record in records})
    changes = Changes()
    notes = []
    for record in records:
        if not record.draining:
            changes.put(replace(record, draining=True))
            changes.tell(HostDraining(name=record.name))
        there = len(leader.model.residents.get(record.name, {}))
        if there:
            notes.append(f"{record.name} has {there} VMs: they stay until they are killed")
    reply = Drained(notes=tuple(notes))
    await call.commit(changes, reply)
    return reply


async def resume_hosts(leader: Leader, _: str, request: ResumeHosts, call: Call) -> Done:
    """Let hosts get new VMs again."""
    changes = Changes()
    for record in _records(leader, request.hosts):
        if record.draining:
            changes.put(replace(record, draining=False))
            changes.tell(HostResumed(name=record.name))
    await call.commit(changes, Done())
    return Done()


def _dry_run(leader: Leader, draining: Collection[str]) -> Drained:
    """Place the VMs of these hosts on the others, namespace by namespace, each on what the ones before leave."""
    model = leader.model
    known: dict[str, HostView] = {}
    rows: list[DrainRow] = []
    namespaces = {owner for host in draining for owner, _ in model.residents.get(host, {})}
    for name in sorted(namespaces):
        record = model.namespaces[name]
        for host in leader.hosts_of(record):
            if host not in known:
                view = view_of(model, host, leader.inventory.hosts.get(host))
                barred = replace(view, accepting=False, reason=f"{host} is to be drained")
                known[host] = barred if host in draining else view
        rows += _move_out(leader, record, draining, known)
    notes = () if rows else (f"{fold(draining)}: no VMs are there",)
    return Drained(items=tuple(rows), notes=notes)


def _move_out(
    leader: Leader, record: NamespaceRecord, draining: Collection[str], known: dict[str, HostView]
) -> list[DrainRow]:
    """Where the VMs of one namespace would go; `known` has them there afterwards."""
    model = leader.model
    leaving = sorted(
        (vm for host in draining for (owner, _), vm in model.residents[host].items() if owner == record.name),
        key=lambda vm: natural_key(vm.name),
    )
    gone = {vm.name for vm in leaving}
    items = [item_of_vm(vm, leader.cluster.head) for vm in leaving]
    views = [known[host] for host in leader.hosts_of(record)]
    if not views:
        return [
            DrainRow(namespace=record.name, vm=vm.name, src=vm.host, reason="the namespace has no hosts")
            for vm in leaving
        ]
    partial = place_some(
        items,
        views,
        parse_policy(record.policy),
        relative=record.relative,
        residents={vm: host for vm, host in residents_of(model, record.name).items() if vm not in gone},
    )
    known.update((view.name, view) for view in after(views, items, partial.placement))
    why = "; ".join(str(reason) for reason in partial.reasons)
    return [
        DrainRow(namespace=record.name, vm=vm.name, src=vm.host, dst=hosts[0], reason="" if hosts[0] else why)
        for vm, hosts in zip(leaving, partial.placement.hosts, strict=True)
    ]
