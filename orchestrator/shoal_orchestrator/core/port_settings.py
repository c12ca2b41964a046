"""What is set on the interfaces of a VM that exists: how their traffic is hampered, whose traffic they get.

This module refuses to know which VMs are meant, and when their hosts have done it.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from shoal.core.qos import ALL_INTERFACES, Qos
from shoal.errors import NotFound
from shoal.messages.desired import LaunchRecord, Port


def with_qos(record: LaunchRecord, index: int, change: Callable[[Qos], Qos]) -> LaunchRecord:
    """The VM's next revision, with the qos of an interface (or all) changed; the same record if nothing changes.

    Raises NotFound, in the peer's words, when it has no interface of that number.
    """
    if index != ALL_INTERFACES and index >= len(record.ports):
        raise NotFound(f"invalid tap index specified: {index}", names=(record.name,))
    return with_ports(
        record,
        tuple(
            replace(port, qos=change(port.qos)) if index in (ALL_INTERFACES, number) else port
            for number, port in enumerate(record.ports)
        ),
    )


def with_ports(record: LaunchRecord, ports: tuple[Port, ...]) -> LaunchRecord:
    """The VM's next revision with these ports; the same record if they are what it has."""
    if ports == record.ports:
        return record
    return replace(record, revision=record.revision + 1, ports=ports)


def taken_back(
    current: LaunchRecord | None, tried: LaunchRecord, before: LaunchRecord
) -> LaunchRecord | None:
    """The revision that gives a VM the ports back that it had `before` something was `tried`.

    None when another command has changed or removed the VM meanwhile: then that one decides.
    """
    if current is None or (current.instance, current.revision) != (tried.instance, tried.revision):
        return None
    config = replace(current.config, networks=before.config.networks)
    return replace(current, revision=current.revision + 1, ports=before.ports, config=config)
