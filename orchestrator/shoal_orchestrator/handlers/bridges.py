"""Handlers of commands about bridges and their uplinks."""

from __future__ import annotations

from shoal.core.names import LOCALHOST, check_bridge, check_interface
from shoal.errors import NotFound, Refused
from shoal.messages.base import Done
from shoal.messages.bridges import AddTrunk, Bridges, ListBridges, RemoveTrunk
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.uplinks import bridge_rows, new_uplink
from shoal_orchestrator.handlers.hosts import unknown_host
from shoal_orchestrator.handlers.taps import remove_taps, tap_settled
from shoal_orchestrator.leader import Call, Leader


async def list_bridges(leader: Leader, namespace: str, _: ListBridges, __: Call) -> Bridges:
    """The bridges that the namespace's VMs and taps use."""
    return Bridges(items=bridge_rows(leader.model, leader.namespace(namespace)))


async def add_trunk(leader: Leader, namespace: str, request: AddTrunk, call: Call) -> Done:
    """Give a bridge an uplink, and wait until the host has made it, or said why it cannot."""
    record = leader.namespace(namespace)
    bridge, interface = check_bridge(request.bridge), check_interface(request.interface)
    host = _host(leader, request.host)
    claimed = leader.model.hosts.get(host)
    if claimed is None:
        raise unknown_host(host)
    if leader.inventory.state(host) != "alive":
        raise Refused(f"cannot trunk {interface} on {host}: the host is {leader.inventory.state(host)}")
    known = leader.model.taps[namespace].get((host, interface))
    if not (call.repeat and known is not None and known.trunk and known.bridge == bridge):
        known = new_uplink(leader.model, record, bridge, interface, host, claimed.incarnation)
        changes = Changes()
        changes.put(known)
        await call.commit(changes)
    await tap_settled(leader, known)
    seen = leader.inventory.hosts[host].taps.get((namespace, interface))
    if seen is not None and not seen.up and seen.reason:
        # What cannot be made is not left wanted: the user tries again with something else.
        current = leader.model.taps[namespace].get((host, interface), known)
        await remove_taps(leader, current)
        raise Refused(f"cannot trunk {interface} on {host} to {bridge}: {seen.reason}")
    await call.commit(Changes(), Done())
    return Done()


async def remove_trunk(leader: Leader, namespace: str, request: RemoveTrunk, call: Call) -> Done:
    """Take an uplink from a bridge, and wait until the host has."""
    leader.namespace(namespace)
    host = _host(leader, request.host)
    known = leader.model.taps[namespace].get((host, request.interface))
    if known is None or not known.trunk or known.bridge != request.bridge:
        if call.repeat:
            return Done()
        raise NotFound(
            f"unknown trunk: {request.interface} on {host} is no uplink of {request.bridge}",
            names=(request.interface,),
        )
    if not known.removed:
        await remove_taps(leader, known)
    await call.commit(Changes(), Done())
    return Done()


def _host(leader: Leader, named: str) -> str:
    return named if named not in ("", LOCALHOST) else leader.cluster.head
