"""Which hosts a VNI spans: computed from the ports that VMs and host taps have in it.

This module refuses to know time, and who is to be told.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.core.ifnames import segment_bridge, segment_device
from shoal.messages.desired import SegmentRecord
from shoal_orchestrator.core.keys import split_vni
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord


def owner_of(model: Model, vni: int) -> tuple[str, str]:
    """The namespace and bridge that a VNI belongs to; ("", "") for the default bridge's or a lost key."""
    key, _ = split_vni(vni)
    for namespace in model.namespaces.values():
        for name, bridge in namespace.bridges.items():
            if bridge.key == key:
                return namespace.name, name
    return "", ""


def segment_changes(model: Model, cluster: ClusterRecord, vnis: Iterable[int]) -> list[SegmentRecord]:
    """The records of these VNIs that differ from what is stored.

    A segment without a port becomes a tombstone (`removed`) at a higher revision; one that has ports again comes
    back at a higher one still. A host without an underlay address is left out: its worker will say it later.
    """
    changed = []
    for vni in sorted(vnis):
        stored = model.segments.get(vni)
        peers = {
            host: model.hosts[host].underlay
            for host in sorted(model.ports[vni])
            if host in model.hosts and model.hosts[host].underlay
        }
        if stored is None and not peers:
            continue
        if stored is not None and stored.peers == peers and stored.removed == (not peers):
            continue
        _, vlan = split_vni(vni)
        namespace, bridge = (stored.namespace, stored.bridge) if stored else owner_of(model, vni)
        changed.append(
            SegmentRecord(
                vni=vni,
                revision=(stored.revision if stored else 0) + 1,
                namespace=namespace,
                bridge=bridge,
                vlan=vlan,
                segment=segment_bridge(vni),
                device=segment_device(vni),
                udp_port=cluster.udp_port,
                peers=peers,
                removed=not peers,
            )
        )
    return changed
