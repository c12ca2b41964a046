"""Plugging an interface of a VM that exists into another VLAN, or into none.

This module refuses to know which VMs are meant, and when their hosts have done it.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from shoal.core.vmconfig import NetSpec
from shoal.errors import NotFound
from shoal.messages.desired import LaunchRecord, Port
from shoal_orchestrator.core.networks import Connection


def port_of(record: LaunchRecord, index: int) -> Port:
    """The index-th interface of a VM. Raises NotFound when it has none of that number."""
    if not 0 <= index < len(record.ports):
        raise NotFound(
            f"no network {index}, VM only has {len(record.ports)} networks",
            details=(f"the interfaces of {record.name} are numbered from 0",) if record.ports else (),
            names=(record.name,),
        )
    return record.ports[index]


def connected(record: LaunchRecord, index: int, at: Connection, vlan: str) -> LaunchRecord:
    """The VM's next revision, with an interface plugged in at `at`; its MAC address and tap stay.

    Its configuration follows, with `vlan` as the user wrote it, for those who clone it.
    """
    port = replace(
        port_of(record, index),
        bridge=at.bridge,
        vlan=at.vlan,
        alias=at.alias,
        vni=at.vni,
        segment=at.segment,
    )
    nets = list(record.config.networks)
    nets[index] = replace(nets[index], bridge=at.bridge, vlan=vlan)
    return _with_port(replace(record, config=replace(record.config, networks=tuple(nets))), index, port)


def extended(record: LaunchRecord, nets: Sequence[NetSpec], ports: Sequence[Port]) -> LaunchRecord:
    """The VM's next revision with more interfaces, each as a port and in its configuration."""
    config = replace(record.config, networks=(*record.config.networks, *nets))
    return replace(record, revision=record.revision + 1, ports=(*record.ports, *ports), config=config)


def disconnected(record: LaunchRecord, index: int) -> LaunchRecord:
    """The VM's next revision, with an interface in no VLAN; it remembers its bridge."""
    port = replace(port_of(record, index), vlan=0, alias="", vni=0, segment="")
    return _with_port(record, index, port)


def _with_port(record: LaunchRecord, index: int, port: Port) -> LaunchRecord:
    ports = (*record.ports[:index], port, *record.ports[index + 1 :])
    return replace(record, revision=record.revision + 1, ports=ports)
