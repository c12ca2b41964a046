"""Handlers of commands about the interfaces of VMs that exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shoal import codec
from shoal.core.vmconfig import NetSpec
from shoal.core.vmconfig_specs import parse_net
from shoal.errors import InvalidRequest, NotFound, ShoalError
from shoal.messages.desired import LaunchRecord
from shoal.messages.host_requests import AttachInterface
from shoal.messages.vms import AddNet, Changed, ConnectNet, DisconnectNet
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.networks import (
    allocate,
    check_shared,
    connect,
    ports_of,
    vlan_records,
    vlans_of,
)
from shoal_orchestrator.core.reconnecting import connected, disconnected, extended, port_of
from shoal_orchestrator.handlers.guests import PRESENT_STATES
from shoal_orchestrator.handlers.port_changes import PortChange, carry_out_or_take_back
from shoal_orchestrator.handlers.vms import carry_out, targets, view_of
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


async def add_net(leader: Leader, namespace: str, request: AddNet, call: Call) -> Changed:
    """Give VMs more interfaces: their taps as desired state, then the interfaces themselves into living guests."""
    record = leader.namespace(namespace)
    nets = [parse_net(text) for text in request.networks]
    found, failures = targets(leader, namespace, request.target)
    if len(found) > 1 and any(net.mac for net in nets):
        raise InvalidRequest("cannot give several VMs an interface with the same MAC address: leave it out")
    await call.once("`vm info` shows the interfaces")
    record = leader.namespace(namespace)
    vlans = allocate(vlans_of(leader.model), namespace, nets)
    for net in nets:
        check_shared(leader.model, vlans, record, net.bridge, net.vlan)
    changes = Changes()
    changes.put(*vlan_records(leader.model, vlans))
    # Others may have changed the VMs while that it was begun was stored: a revision built on old ones would undo it.
    found, failures = targets(leader, namespace, request.target)
    wanted = []
    for vm in found:
        ports = ports_of(record, vlans, nets, vm.instance, leader.ids, first=len(vm.ports))
        wanted.append(PortChange(vm, extended(vm, nets, ports)))
    return await carry_out_or_take_back(
        leader,
        call,
        wanted,
        failures,
        "plug in the new interfaces",
        changes=changes,
        then=partial(_attach, leader),
    )


async def _attach(leader: Leader, change: PortChange) -> str:
    """Plug the new interfaces of a VM into its guest, if it has one. What went wrong; empty if nothing."""
    before, after = change
    if view_of(leader, after).state not in PRESENT_STATES:
        return ""
    try:
        for port in after.ports[len(before.ports) :]:
            question = AttachInterface(
                instance=after.instance, tap=port.tap, mac=port.mac, driver=port.driver
            )
            await leader.workers.ask(after.host, question)
    except ShoalError as error:
        return error.message
    return ""


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
            failures.append(codec.failure_of(error))
    if not changed:
        changes = Changes()
    changes.put(*changed)
    return await carry_out(leader, call, changes, changed, failures, None, "connecting")
