"""Handlers of commands about VLANs and private bridges."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from shoal.core.names import check_bridge
from shoal.core.ranges import fold
from shoal.core.vmconfig import DEFAULT_BRIDGE
from shoal.errors import Conflict, NotFound, Refused
from shoal.messages.base import Done, Reply
from shoal.messages.events import BridgeCreated, BridgeRemoved, NamespaceChanged
from shoal.messages.vlans import (
    AddBridge,
    AddVLAN,
    Blacklist,
    BlacklistVLAN,
    ClearVLANs,
    ListVLANs,
    RemoveBridge,
    SetVLANRange,
    VLANRange,
    VLANRow,
    VLANs,
)
from shoal_orchestrator.core import vlans
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.failures import MOST_NAMED
from shoal_orchestrator.core.keys import allocate_key, split_vni
from shoal_orchestrator.core.model import PRESENT, Model
from shoal_orchestrator.core.networks import vlan_records, vlans_of
from shoal_orchestrator.core.records import DEFAULT_NAMESPACE, BridgeRecord
from shoal_orchestrator.leader import Call, Leader

R = TypeVar("R", bound=Reply)


async def list_vlans(leader: Leader, namespace: str, _: ListVLANs, __: Call) -> VLANs:
    """The namespace's aliases."""
    aliases = leader.namespace(namespace).aliases
    return VLANs(items=tuple(VLANRow(alias=alias, vlan=vlan) for alias, vlan in sorted(aliases.items())))


async def _commit(leader: Leader, call: Call, namespace: str, after: vlans.VLANs, change: str, reply: R) -> R:
    changes = Changes()
    changes.put(*vlan_records(leader.model, after))
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=change))
    await call.commit(changes, reply)
    return reply


async def add_vlan(leader: Leader, namespace: str, request: AddVLAN, call: Call) -> Done:
    """Give an alias a number."""
    leader.namespace(namespace)
    after = vlans.add_alias(vlans_of(leader.model), namespace, request.alias, request.vlan)
    return await _commit(leader, call, namespace, after, f"vlan {request.alias} {request.vlan}", Done())


async def set_vlan_range(leader: Leader, namespace: str, request: SetVLANRange, call: Call) -> VLANRange:
    """Show or set the range."""
    record = leader.namespace(namespace)
    if not request.low:
        default = vlans.DEFAULT_RANGE if namespace == DEFAULT_NAMESPACE else (0, 0)
        low, high = record.vlan_range or default
        next_free = vlans.next_free(vlans_of(leader.model), namespace)
        return VLANRange(low=low, high=high, next_free=next_free or 0)
    after = vlans.set_range(vlans_of(leader.model), namespace, request.low, request.high)
    return await _commit(leader, call, namespace, after, f"vlans {request.low}-{request.high}", VLANRange())


async def blacklist_vlan(leader: Leader, namespace: str, request: BlacklistVLAN, call: Call) -> Blacklist:
    """Show the blacklist, or add to it."""
    if not request.vlan:
        return Blacklist(items=tuple(sorted(leader.cluster.blacklist)))
    after = vlans.add_to_blacklist(vlans_of(leader.model), request.vlan)
    return await _commit(leader, call, namespace, after, f"vlan {request.vlan} blacklisted", Blacklist())


def used_aliases(model: Model, namespace: str) -> set[str]:
    """The aliases of a namespace that VMs (of any namespace) or taps are connected to."""
    own = {
        port.alias
        for record in model.launches[namespace].values()
        if record.power in PRESENT
        for port in record.ports
    }
    own |= {tap.alias for tap in model.taps[namespace].values() if not tap.removed}
    return own


async def clear_vlans(leader: Leader, namespace: str, request: ClearVLANs, call: Call) -> Done:
    """Forget aliases, but for those in use."""
    record = leader.namespace(namespace)
    before = vlans_of(leader.model)
    if request.prefix == "all":
        busy = sorted(n for n in leader.model.namespaces if used_aliases(leader.model, n) - {""})
        if busy:
            raise Conflict(
                f"VLANs are in use in {', '.join(busy)}: kill the VMs and delete the taps there first",
                names=tuple(busy),
            )
        return await _commit(leader, call, namespace, vlans.clear_all(before), "vlans cleared", Done())
    going = {alias for alias in record.aliases if alias.startswith(request.prefix)}
    busy_here = going & used_aliases(leader.model, namespace)
    if busy_here:
        raise Conflict(
            f"vlan {', '.join(sorted(busy_here))} is in use: kill the VMs and delete the taps on it first",
            names=tuple(sorted(busy_here)),
        )
    after = vlans.clear(before, namespace, request.prefix)
    return await _commit(leader, call, namespace, after, "vlans cleared", Done())


async def add_bridge(leader: Leader, namespace: str, request: AddBridge, call: Call) -> Done:
    """Make a private bridge."""
    record = leader.namespace(namespace)
    name = check_bridge(request.bridge)
    if name == DEFAULT_BRIDGE:
        raise Refused(f"`{name}` is the bridge that all namespaces share; choose another name")
    if request.kind == "gre":
        raise Refused("gre bridges need gretap devices, which are not carried out yet; use vxlan")
    existing = record.bridges.get(name)
    if existing is not None:
        raise Conflict(f"bridge `{name}` exists in namespace {namespace} already", names=(name,))
    key = allocate_key(
        _taken_keys(leader.model), _draining_keys(leader.model), first=leader.cluster.first_key
    )
    changes = Changes()
    changes.put(replace(record, bridges={**record.bridges, name: BridgeRecord(key=key)}))
    changes.tell(BridgeCreated(namespace=namespace, name=name, key=key))
    await call.commit(changes, Done())
    return Done()


def _taken_keys(model: Model) -> set[int]:
    return {bridge.key for record in model.namespaces.values() for bridge in record.bridges.values()}


def _draining_keys(model: Model) -> set[int]:
    """Keys of which some host may still have a segment: their tombstones are not purged yet."""
    return {split_vni(vni)[0] for vni in (*model.segments, *(v for v, ports in model.ports.items() if ports))}


async def remove_bridge(leader: Leader, namespace: str, request: RemoveBridge, call: Call) -> Done:
    """Forget a private bridge that nobody is on."""
    record = leader.namespace(namespace)
    if request.bridge not in record.bridges:
        raise NotFound("bridge is not associated with namespace", names=(request.bridge,))
    users = [
        vm.name
        for vm in leader.model.launches[namespace].values()
        if vm.power in PRESENT and any(port.bridge == request.bridge for port in vm.ports)
    ]
    taps = [
        t.tap for t in leader.model.taps[namespace].values() if not t.removed and t.bridge == request.bridge
    ]
    if (users or taps) and not request.force:
        on_it = ", ".join(filter(None, [fold(users), *taps]))
        raise Conflict(
            f"bridge `{request.bridge}` is in use by {on_it}: kill and delete these, or add `force`",
            names=(*users, *taps)[:MOST_NAMED],
        )
    bridges = {name: bridge for name, bridge in record.bridges.items() if name != request.bridge}
    changes = Changes()
    changes.put(replace(record, bridges=bridges))
    changes.tell(BridgeRemoved(namespace=namespace, name=request.bridge))
    await call.commit(changes, Done())
    return Done()
