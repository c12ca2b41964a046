"""Handlers of commands about the interfaces of VMs that exist."""

from __future__ import annotations

from collections.abc import Callable

from shoal.core.vmconfig import NetSpec
from shoal.errors import NotFound
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.vms import Changed, ConnectNet, DisconnectNet
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.networks import allocate, check_shared, connect, vlan_records, vlans_of
from shoal_orchestrator.core.reconnecting import connected, disconnected, port_of
from shoal_orchestrator.handlers.vms import carry_out, targets
from shoal_orchestrator.leader import Call, Leader


async def connect_net(leader: Leader, namespace: str, request: ConnectNet, call: Call) -> Changed:
    """Plug an interface of VMs into a VLAN; without a bridge, of the bridge that it is on."""
    record = leader.namespace(namespace)
    vlans = allocate(vlans_of(leader.model), namespace, [NetSpec(vlan=request.vlan, bridge=request.bridge)])
    changes = Changes()
    changes.put(*vlan_records(leader.model, vlans))

    def plug(vm: LaunchRecord) -> LaunchRecord:
        bridge = request.bridge or port_of(vm, request.index).bridge
        check_shared(leader.model, vlans, record, bridge, request.vlan)
        at = connect(record, vlans, bridge, request.vlan)
        return connected(vm, request.index, at, request.vlan)

    return await _rewire(leader, namespace, request.target, call, changes, plug)


async def disconnect_net(leader: Leader, namespace: str, request: DisconnectNet, call: Call) -> Changed:
    """Take an interface of VMs off its VLAN."""
    return await _rewire(
        leader, namespace, request.target, call, Changes(), lambda vm: disconnected(vm, request.index)
    )


async def _rewire(
    leader: Leader,
    namespace: str,
    target: str,
    call: Call,
    changes: Changes,
    plug: Callable[[LaunchRecord], LaunchRecord],
) -> Changed:
    """Give VMs their changed ports, and wait until their hosts have followed. What cannot be done changes nothing."""
    found, failures = targets(leader, namespace, target)
    changed: list[LaunchRecord] = []
    for vm in found:
        try:
            changed.append(plug(vm))
        except NotFound as error:
            failures.append(Failure(kind=error.kind, code=error.code, message=error.message))
    if not changed:
        changes = Changes()
    changes.put(*changed)
    return await carry_out(leader, call, changes, changed, failures, None, "connecting")
