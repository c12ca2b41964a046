"""Uplinks of bridges: which there may be, and which VLANs they carry.

This module refuses to know the interfaces of hosts and time. An uplink is a host tap's record of another kind: it is
in every VLAN of its bridge that something else is in, so that hardware behind it reaches the VMs of all hosts.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from shoal.core.ifnames import segment_device
from shoal.errors import Conflict, Refused
from shoal.messages.bridges import BridgeRow, UplinkRow
from shoal.messages.desired import Port, TapRecord
from shoal.messages.vlans import VLANRow
from shoal_orchestrator.core.keys import split_vni, vni
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.networks import bridge_key
from shoal_orchestrator.core.records import NamespaceRecord

#: the key of a bridge that is not stretched over hosts
PLAIN = -1


def key_of(namespace: NamespaceRecord, bridge: str) -> int:
    """The key of the bridge that a namespace calls so; PLAIN if it is not stretched."""
    key = bridge_key(namespace, bridge)
    return PLAIN if key is None else key


def new_uplink(
    model: Model, namespace: NamespaceRecord, bridge: str, interface: str, host: str, incarnation: str
) -> TapRecord:
    """The record of an uplink.

    Raises Conflict when something of ours has the interface's name on the host, Refused for a second uplink of a
    stretched bridge.
    """
    key = key_of(namespace, bridge)
    for other in (tap for taps in model.taps.values() for tap in taps.values()):
        if (other.host, other.tap) == (host, interface):
            what = f"an uplink of {other.bridge} already" if other.trunk else "one of our host taps"
            raise Conflict(
                f"cannot trunk {interface} on {host} to {bridge}: it is {what}", names=(interface,)
            )
        if other.trunk and not other.removed and key != PLAIN and other.key == key:
            raise Refused(
                f"cannot trunk {interface} on {host} to {bridge}: it spans hosts and has the uplink {other.tap} on "
                f"{other.host}; a second one would be a loop"
            )
    record = TapRecord(
        namespace=namespace.name,
        tap=interface,
        revision=1,
        host=host,
        incarnation=incarnation,
        bridge=bridge,
        vlan=0,
        segment="",
        trunk=True,
        key=key,
    )
    return replace(record, vlans=vlans_in_use(model, record))


def vlans_in_use(model: Model, uplink: TapRecord) -> tuple[int, ...]:
    """The VLANs of an uplink's bridge that something else is in: anywhere, or on its host if the bridge is plain."""
    if uplink.key == PLAIN:
        ports: list[Port | TapRecord] = [
            port for vm in model.residents[uplink.host].values() for port in vm.ports
        ]
        ports += [
            tap
            for taps in model.taps.values()
            for tap in taps.values()
            if tap.host == uplink.host and not tap.removed
        ]
        return tuple(
            sorted(
                {port.vlan for port in ports if port.bridge == uplink.bridge and port.vlan and not port.vni}
            )
        )
    own = [tap for tap in model.uplinks.values() if tap.key == uplink.key]
    found = set()
    for number, hosts in model.ports.items():
        key, vlan = split_vni(number)
        if key == uplink.key and hosts.total() > sum(vlan in tap.vlans for tap in own):
            found.add(vlan)
    return tuple(sorted(found))


def uplink_changes(model: Model) -> Iterator[TapRecord]:
    """The next revisions of uplinks that carry other VLANs than are in use now."""
    for uplink in list(model.uplinks.values()):
        vlans = vlans_in_use(model, uplink)
        if vlans != uplink.vlans:
            yield replace(uplink, revision=uplink.revision + 1, vlans=vlans)


def bridge_rows(model: Model, namespace: NamespaceRecord) -> tuple[BridgeRow, ...]:
    """The bridges that a namespace's VMs and taps are on, and its private ones, with what is on them."""
    vlans: dict[str, dict[int, str]] = {name: {} for name in namespace.bridges}
    ports: list[Port | TapRecord] = [
        port for vm in model.launches[namespace.name].values() for port in vm.ports
    ]
    ports += [tap for tap in model.taps[namespace.name].values() if not tap.removed]
    for port in ports:
        known = vlans.setdefault(port.bridge, {})
        if port.vlan:
            known[port.vlan] = known.get(port.vlan) or port.alias
    return tuple(_row(model, namespace, name, known) for name, known in sorted(vlans.items()))


def _row(model: Model, namespace: NamespaceRecord, name: str, vlans: dict[int, str]) -> BridgeRow:
    key = key_of(namespace, name)
    uplinks = [
        UplinkRow(interface=uplink.tap, host=uplink.host)
        for uplink in model.uplinks.values()
        if uplink.key == key and (key != PLAIN or uplink.bridge == name)
    ]
    stretched = key != PLAIN
    kind = namespace.bridges[name].kind if name in namespace.bridges else "vxlan"
    return BridgeRow(
        bridge=name,
        vlans=tuple(VLANRow(alias=alias, vlan=number) for number, alias in sorted(vlans.items())),
        uplinks=tuple(sorted(uplinks, key=lambda uplink: (uplink.host, uplink.interface))),
        tunnels=tuple(segment_device(vni(key, vlan)) for vlan in sorted(vlans)) if stretched else (),
        config={"kind": kind, "key": str(key)} if stretched else {},
    )
