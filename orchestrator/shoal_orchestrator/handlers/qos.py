"""Handlers of commands about how the traffic to VMs is hampered."""

from __future__ import annotations

from collections.abc import Callable

from shoal import codec
from shoal.core.qos import Qos, parse_interface, with_option
from shoal.core.ranges import fold
from shoal.errors import NotFound
from shoal.messages.desired import LaunchRecord
from shoal.messages.qos import AddQos, ClearQos
from shoal.messages.vms import Changed
from shoal_orchestrator.core.port_settings import with_qos
from shoal_orchestrator.handlers.port_changes import PortChange, carry_out_or_take_back
from shoal_orchestrator.handlers.vms import targets
from shoal_orchestrator.leader import Call, Leader


async def add_qos(leader: Leader, namespace: str, request: AddQos, call: Call) -> Changed:
    """Add a constraint to an interface of VMs, running or not."""
    interface = parse_interface(request.interface)

    def add(qos: Qos) -> Qos:
        return with_option(qos, request.kind, request.value, request.unit)

    add(Qos())  # a bad value is refused whatever the VMs are
    return await _reshape(leader, namespace, request.target, interface, add, call, f"set {request.kind}")


async def clear_qos(leader: Leader, namespace: str, request: ClearQos, call: Call) -> Changed:
    """Remove all constraints from an interface of VMs, or from all of theirs."""
    interface = parse_interface(request.interface)
    return await _reshape(leader, namespace, request.target, interface, lambda _: Qos(), call, "clear qos")


async def _reshape(
    leader: Leader,
    namespace: str,
    target: str,
    interface: int,
    change: Callable[[Qos], Qos],
    call: Call,
    doing: str,
) -> Changed:
    found, failures = targets(leader, namespace, target)
    wanted: list[PortChange] = []
    for vm in found:
        try:
            wanted.append(PortChange(vm, with_qos(vm, interface, change)))
        except NotFound as error:
            failures.append(codec.failure_of(error))
    replaced = fold(vm.name for vm, after in wanted if _replaces(vm, after))
    notes = (
        (f"a rate and loss or delay replace each other: {replaced} lost the one for the other",)
        if replaced
        else ()
    )
    return await carry_out_or_take_back(leader, call, wanted, failures, doing, notes=notes)


def _replaces(before: LaunchRecord, after: LaunchRecord) -> bool:
    """Whether an interface has a rate in place of loss or delay, or the other way round."""
    pairs = zip(before.ports, after.ports, strict=True)
    return any(old.qos and new.qos and bool(old.qos.rate) != bool(new.qos.rate) for old, new in pairs)
