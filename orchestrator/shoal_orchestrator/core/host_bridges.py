"""The bridges of a namespace as each of its hosts has them.

This module refuses to know how they are asked for and shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from shoal.messages.bridges import BridgeRow
from shoal.messages.desired import Port, TapRecord
from shoal_orchestrator.core.model import PRESENT, Model


def ports_on_hosts(model: Model, namespace: str) -> list[tuple[str, Port | TapRecord]]:
    """The ports that a namespace has on hosts now: of VMs that are to be there, and of host taps."""
    found: list[tuple[str, Port | TapRecord]] = [
        (vm.host, port)
        for vm in model.launches[namespace].values()
        if vm.power in PRESENT
        for port in vm.ports
    ]
    found += [(tap.host, tap) for tap in model.taps[namespace].values() if not tap.removed]
    return found


def rows_on_hosts(model: Model, namespace: str, rows: Iterable[BridgeRow]) -> Mapping[str, list[BridgeRow]]:
    """Each host's part of a namespace's bridges: the VLANs in use there, their tunnels, its own uplinks."""
    used: defaultdict[str, defaultdict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for host, port in ports_on_hosts(model, namespace):
        used[host][port.bridge].add(port.vlan)
    known = {row.bridge: row for row in rows}
    return {
        host: [_part(known[name], host, vlans) for name, vlans in sorted(bridges.items()) if name in known]
        for host, bridges in used.items()
    }


def _part(row: BridgeRow, host: str, vlans: set[int]) -> BridgeRow:
    # a bridge that spans hosts has a tunnel for each of its VLANs, any other has none
    tunnels = zip(row.vlans, row.tunnels, strict=True) if row.tunnels else ()
    return replace(
        row,
        vlans=tuple(each for each in row.vlans if each.vlan in vlans),
        tunnels=tuple(tunnel for each, tunnel in tunnels if each.vlan in vlans),
        uplinks=tuple(uplink for uplink in row.uplinks if uplink.host == host),
    )
