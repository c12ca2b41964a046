"""Handlers of commands about the working configuration."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from shoal.codec import failure_of
from shoal.core.names import check_config
from shoal.core.vmconfig import VMConfig
from shoal.core.vmconfig_fields import get_field
from shoal.core.vmconfig_text import describe
from shoal.errors import NotFound, ShoalError
from shoal.messages.base import Done, Said
from shoal.messages.config import (
    ClearConfig,
    CloneConfig,
    ConfigStep,
    Configured,
    ConfigureSteps,
    ConfigureVM,
    RestoreConfig,
    SaveConfig,
    StepFailure,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.configuring import Working, configured
from shoal_orchestrator.core.networks import vlan_records, vlans_of
from shoal_orchestrator.core.records import NamespaceRecord, SavedConfig
from shoal_orchestrator.leader import Call, Leader


async def configure_vm(leader: Leader, namespace: str, request: ConfigureVM, call: Call) -> Said:
    """Show the working configuration, or show or set a field of it."""
    record = leader.namespace(namespace)
    if not request.field:
        return Said(text=describe(record.config))
    if not request.values:
        return Said(text=get_field(record.config, request.field))
    if request.field == "tag" and len(request.values) == 1:
        return Said(text=get_field(record.config, request.field, request.values[0]))
    working = _working(leader, namespace)
    step = ConfigStep(field=request.field, values=request.values)
    reply = Said(text="")
    await call.commit(_changes(leader, configured(working, step, _members(leader, record))), reply)
    return reply


async def clear_config(leader: Leader, namespace: str, request: ClearConfig, call: Call) -> Done:
    """Set the working configuration, or a part of it, back."""
    working = _working(leader, namespace)
    step = ConfigStep(clear=True, field=request.field, key=request.key)
    cleared = configured(working, step, _members(leader, working.record))
    await call.commit(_changes(leader, cleared), Done())
    return Done()


async def configure_steps(leader: Leader, namespace: str, request: ConfigureSteps, call: Call) -> Configured:
    """Make several changes, and store them together."""
    working = _working(leader, namespace)
    is_member = _members(leader, working.record)
    failed: list[StepFailure] = []
    looked_at = 0
    for number, step in enumerate(request.steps):
        looked_at += 1
        try:
            working = configured(working, step, is_member)
        except ShoalError as error:
            failed.append(StepFailure(step=number, failure=failure_of(error)))
            if request.strict:
                break
    reply = Configured(looked_at=looked_at, failed=tuple(failed))
    if len(failed) < looked_at:
        await call.commit(_changes(leader, working), reply)
    return reply


def _working(leader: Leader, namespace: str) -> Working:
    return Working(leader.namespace(namespace), vlans_of(leader.model))


def _members(leader: Leader, record: NamespaceRecord) -> Callable[[str], bool]:
    return lambda host: host in leader.hosts_of(record)


def _changes(leader: Leader, working: Working) -> Changes:
    changes = Changes()
    changes.put(*vlan_records(leader.model, working.vlans, working.record))
    return changes


async def save_config(leader: Leader, namespace: str, request: SaveConfig, call: Call) -> Done:
    """Keep the working configuration under a name."""
    record = leader.namespace(namespace)
    changes = Changes()
    changes.put(SavedConfig(namespace=namespace, name=check_config(request.name), config=record.config))
    await call.commit(changes, Done())
    return Done()


def saved_config(leader: Leader, namespace: str, name: str) -> VMConfig:
    """A saved configuration. NotFound names those that exist."""
    saved = leader.model.configs[namespace].get(name)
    if saved is None:
        known = ", ".join(sorted(leader.model.configs[namespace])) or "none"
        raise NotFound(f"config {name} does not exist", details=(f"saved ones: {known}",), names=(name,))
    return saved.config


async def restore_config(leader: Leader, namespace: str, request: RestoreConfig, call: Call) -> Said:
    """Make a saved configuration the working one, or list the saved ones."""
    record = leader.namespace(namespace)
    if not request.name:
        if not leader.model.configs[namespace]:
            raise NotFound("no vm configs saved", details=("`vm config save <name>` keeps one",), names=())
        return Said(text="\n".join(sorted(leader.model.configs[namespace])))
    changes = Changes()
    changes.put(replace(record, config=saved_config(leader, namespace, request.name)))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


async def clone_config(leader: Leader, namespace: str, request: CloneConfig, call: Call) -> Done:
    """Make a VM's configuration the working one, but for what two VMs cannot share."""
    record = leader.namespace(namespace)
    vm = leader.model.launches[namespace].get(request.vm)
    if vm is None:
        raise NotFound(f"vm not found: {request.vm}", names=(request.vm,))
    networks = tuple(replace(net, mac="") for net in vm.config.networks)
    changes = Changes()
    changes.put(replace(record, config=replace(vm.config, uuid="", networks=networks)))
    await call.commit(changes, Done())
    return Done()
