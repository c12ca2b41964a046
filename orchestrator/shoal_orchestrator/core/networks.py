"""From what the user wrote (`foo,LAN`) to ports: bridge, VLAN number, VNI, interface names, MAC.

This module refuses to know hosts and the state of VMs. VLANs as values are `vlans`' business; here they are read
from the records and written back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from shoal.core.ids import Ids
from shoal.core.ids import mac as random_mac
from shoal.core.ifnames import guest_tap, plain_bridge, segment_bridge
from shoal.core.vmconfig import DEFAULT_BRIDGE, NetSpec
from shoal.messages.desired import Port, TapRecord
from shoal_orchestrator.core.keys import DEFAULT_BRIDGE_KEY, vni
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import DEFAULT_NAMESPACE, NamespaceRecord
from shoal_orchestrator.core.vlans import NamespaceVLANs, VLANs, check_sharing, resolve


class Connection(msgspec.Struct, frozen=True):
    """Where an interface is plugged in: `vni` 0 for a plain bridge; `alias` is `LAN`, `other//LAN`, or empty."""

    bridge: str
    vlan: int
    vni: int
    segment: str
    alias: str


def vlans_of(model: Model) -> VLANs:
    """All namespaces' VLANs as the records have them."""
    return VLANs(
        namespaces={
            name: NamespaceVLANs(record.aliases, record.vlan_range, frozenset(record.explicit))
            for name, record in model.namespaces.items()
        },
        blacklist=frozenset(model.cluster.blacklist if model.cluster else ()),
        default=DEFAULT_NAMESPACE,
    )


def vlan_records(model: Model, vlans: VLANs, base: NamespaceRecord | None = None) -> list[msgspec.Struct]:
    """The records that differ from `vlans`, changed accordingly.

    `base` is a namespace's record with other changes in it, which the answer then carries; it is always included.
    """
    changed: list[msgspec.Struct] = []
    for name, own in vlans.namespaces.items():
        stored = model.namespaces[name]
        start = base if base is not None and base.name == name else stored
        record = replace(
            start, aliases=dict(own.aliases), vlan_range=own.range, explicit=tuple(sorted(own.explicit))
        )
        if record != stored or start is base:
            changed.append(record)
    if model.cluster is not None and vlans.blacklist != frozenset(model.cluster.blacklist):
        changed.append(replace(model.cluster, blacklist=tuple(sorted(vlans.blacklist))))
    return changed


def allocate(vlans: VLANs, namespace: str, nets: Iterable[NetSpec]) -> VLANs:
    """The VLANs after each net's alias has a number, and each number used directly is kept from aliases."""
    for net in nets:
        vlans = resolve(vlans, namespace, net.vlan).vlans
    return vlans


def bridge_key(record: NamespaceRecord, bridge: str) -> int | None:
    """The key of a bridge as this namespace means it; None for a plain bridge, which is not stretched."""
    own = record.bridges.get(bridge)
    if own is not None:
        return own.key
    return DEFAULT_BRIDGE_KEY if bridge == DEFAULT_BRIDGE else None


def connect(record: NamespaceRecord, vlans: VLANs, bridge: str, vlan: str) -> Connection:
    """Where `vlan` (a number or an alias that has one) of `bridge` (empty: the default) is."""
    resolved = resolve(vlans, record.name, vlan)
    name = bridge or DEFAULT_BRIDGE
    key = bridge_key(record, name)
    number = vni(key, resolved.vlan) if key is not None else 0
    return Connection(
        bridge=name,
        vlan=resolved.vlan,
        vni=number,
        segment=segment_bridge(number) if number else plain_bridge(name, resolved.vlan),
        alias=resolved.alias if resolved.owner in ("", record.name) else vlan,
    )


def ports_of(
    record: NamespaceRecord, vlans: VLANs, nets: Sequence[NetSpec], instance: str, ids: Ids, *, first: int = 0
) -> tuple[Port, ...]:
    """The ports of one VM, from its interface `first` on. MAC addresses that the user did not choose are random."""
    ports = []
    for index, net in enumerate(nets, first):
        at = connect(record, vlans, net.bridge, net.vlan)
        ports.append(
            Port(
                bridge=at.bridge,
                vlan=at.vlan,
                alias=at.alias,
                vni=at.vni,
                segment=at.segment,
                tap=guest_tap(instance, index),
                mac=net.mac or random_mac(ids),
                driver=net.driver,
            )
        )
    return tuple(ports)


def check_shared(model: Model, vlans: VLANs, record: NamespaceRecord, bridge: str, vlan: str) -> None:
    """Refuse to join another namespace's alias by accident on a bridge that both share. Raises Conflict."""
    name = bridge or DEFAULT_BRIDGE
    if name in record.bridges:
        return
    at = resolve(vlans, record.name, vlan)
    if not at.alias or at.owner != record.name:
        return
    check_sharing(vlans, at.owner, at.alias, _users(model, record, name, at.vlan))


def _users(model: Model, record: NamespaceRecord, bridge: str, vlan: int) -> set[tuple[str, str]]:
    users: set[tuple[str, str]] = set()
    for name, other in model.namespaces.items():
        if name == record.name or bridge in other.bridges or vlan not in other.aliases.values():
            continue
        ports: list[Port | TapRecord] = [
            *(port for vm in model.launches[name].values() for port in vm.ports),
            *(tap for tap in model.taps[name].values() if not tap.removed),
        ]
        users |= {
            (name, port.alias)
            for port in ports
            if port.bridge == bridge and port.vlan == vlan and port.alias and "//" not in port.alias
        }
    return users
