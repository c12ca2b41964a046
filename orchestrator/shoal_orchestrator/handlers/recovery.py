"""Handlers of hosts that are declared dead, and of what becomes of the VMs that ran there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from shoal.core.load import load_of, parse_policy, total
from shoal.core.ranges import fold
from shoal.errors import Conflict, InvalidRequest
from shoal.messages.base import Said
from shoal.messages.desired import LaunchRecord
from shoal.messages.events import HostForgotten, NamespaceChanged
from shoal.messages.recovery import ForgetHosts, Forgotten, SetRecovery
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import item_of_vm, residents_of
from shoal_orchestrator.core.model import add_loads
from shoal_orchestrator.core.recovering import stranded
from shoal_orchestrator.core.scheduler import place_some
from shoal_orchestrator.handlers.hosts import named_hosts
from shoal_orchestrator.handlers.planning import limit_of, views
from shoal_orchestrator.leader import Call, Leader


async def forget_hosts(leader: Leader, _: str, request: ForgetHosts, call: Call) -> Forgotten:
    """Declare hosts dead. Conflict for those that are alive, or that have VMs when the word is missing."""
    if request.word not in ("", "fenced", "--fenced"):
        raise InvalidRequest(f"invalid word: `{request.word}`; expected --fenced")
    hosts = list(dict.fromkeys(named_hosts(leader, request.hosts)))
    _check_silent(leader, hosts)
    if not request.word:
        _check_empty(leader, hosts)
    changes = Changes()
    for host in hosts:
        record = leader.model.hosts[host]
        if not record.fenced:
            changes.put(replace(record, fenced=True))
            changes.tell(HostForgotten(name=host))
    vms = sum(
        1 for host in hosts for vm in leader.model.residents.get(host, {}).values() if vm.power != "off"
    )
    reply = Forgotten(hosts=fold(hosts), vms=vms)
    await call.commit(changes, reply)
    for host in hosts:
        leader.inventory.declare_dead(host)
    return reply


def _check_silent(leader: Leader, hosts: Iterable[str]) -> None:
    states = {host: leader.inventory.state(host) for host in hosts}
    frozen = leader.inventory.frozen > 0
    speaking = [host for host, state in states.items() if state == "alive"]
    if speaking:
        raise Conflict(
            f"{fold(speaking)} cannot be forgotten: alive, heartbeats arrive; `host drain` takes hosts out of use, "
            "and one whose worker was stopped is lost after 20 s",
            names=tuple(speaking),
        )
    waiting = [host for host, state in states.items() if state != "lost" and not frozen]
    if waiting:
        raise Conflict(
            f"{fold(waiting)} cannot be forgotten yet: not known to be lost; a host is lost after 20 s of silence, "
            "see `mesh status`",
            names=tuple(waiting),
        )


def _check_empty(leader: Leader, hosts: Iterable[str]) -> None:
    model = leader.model
    with_taps = {host for taps in model.taps.values() for host, _ in taps}
    leaving = {record.host for record in model.leaving.values()}
    busy = [host for host in hosts if model.residents.get(host) or host in with_taps or host in leaving]
    if busy:
        count = sum(len(model.residents.get(host, {})) for host in busy)
        raise Conflict(
            f"{fold(busy)} may still have {count} VMs, and taps: Shoal cannot know. Once it is surely off, or cut "
            f"from network and storage, say `host forget {fold(busy)} --fenced`",
            names=tuple(busy),
        )


async def set_recovery(leader: Leader, namespace: str, request: SetRecovery, call: Call) -> Said:
    """Show or set what is done about VMs of dead hosts."""
    record = leader.namespace(namespace)
    if not request.action:
        return Said(text=record.recovery)
    if request.action not in ("none", "relaunch"):
        raise InvalidRequest(f"invalid action: `{request.action}`; expected none or relaunch")
    changes = Changes()
    changes.put(replace(record, recovery=request.action))
    change = f"recovery {request.action}"
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=change))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


def new_homes(
    leader: Leader, namespace: str, vms: Sequence[LaunchRecord]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Where VMs of dead hosts can be launched again, by name, and why the others cannot. Raises Refused."""
    record = leader.namespace(namespace)
    leaving = {vm.name for vm in vms}
    limit = limit_of(leader, record)
    if limit is not None:
        # They are promised their share already, where they were.
        freed = total(load_of(vm.config) for vm in vms)
        limit = replace(limit, used=add_loads(limit.used, freed, -1))
    found = place_some(
        [item_of_vm(vm, leader.cluster.head) for vm in vms],
        views(leader, record),
        parse_policy(record.policy),
        relative=record.relative,
        residents={
            name: host for name, host in residents_of(leader.model, namespace).items() if name not in leaving
        },
        limit=limit,
    )
    placed = zip(vms, found.placement.hosts, strict=True)
    return {vm.name: hosts[0] for vm, hosts in placed if hosts[0]}, tuple(map(str, found.reasons))


def all_stranded(leader: Leader) -> dict[str, list[LaunchRecord]]:
    """VMs of dead hosts in the namespaces that have them launched again, by namespace."""
    found = {
        name: stranded(leader.model, name)
        for name, record in leader.model.namespaces.items()
        if record.recovery == "relaunch" and not record.clearing
    }
    return {name: vms for name, vms in found.items() if vms}
