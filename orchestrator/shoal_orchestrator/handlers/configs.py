"""Handlers of commands about the working configuration."""

from __future__ import annotations

from msgspec.structs import replace

from shoal.core.names import check_config
from shoal.core.vmconfig import VMConfig
from shoal.core.vmconfig_fields import clear_field, get_field, set_field
from shoal.core.vmconfig_text import describe
from shoal.errors import NotFound
from shoal.messages.base import Done, Said
from shoal.messages.config import ClearConfig, CloneConfig, ConfigureVM, RestoreConfig, SaveConfig
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.networks import allocate, vlan_records, vlans_of
from shoal_orchestrator.core.records import SavedConfig
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
    changes = Changes()
    config = set_field(record.config, request.field, request.values)
    if config.schedule and config.schedule != record.config.schedule:
        _check_member(leader, namespace, config.schedule)
    # An alias has its number from its first use in a configuration on, as in the peer.
    vlans = allocate(vlans_of(leader.model), namespace, config.networks)
    changes.put(*vlan_records(leader.model, vlans, replace(record, config=config)))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


def _check_member(leader: Leader, namespace: str, host: str) -> None:
    if host not in leader.hosts_of(leader.namespace(namespace)):
        raise NotFound(f"host is not in namespace: {host}")


async def clear_config(leader: Leader, namespace: str, request: ClearConfig, call: Call) -> Done:
    """Set the working configuration, or a part of it, back."""
    record = leader.namespace(namespace)
    config = clear_field(record.config, request.field, request.key or None) if request.field else VMConfig()
    changes = Changes()
    changes.put(replace(record, config=config))
    await call.commit(changes, Done())
    return Done()


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
        raise NotFound(f"config {name} does not exist", details=(f"saved ones: {known}",))
    return saved.config


async def restore_config(leader: Leader, namespace: str, request: RestoreConfig, call: Call) -> Said:
    """Make a saved configuration the working one, or list the saved ones."""
    record = leader.namespace(namespace)
    if not request.name:
        if not leader.model.configs[namespace]:
            raise NotFound("no vm configs saved", details=("`vm config save <name>` keeps one",))
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
        raise NotFound(f"vm not found: {request.vm}")
    networks = tuple(replace(net, mac="") for net in vm.config.networks)
    changes = Changes()
    changes.put(replace(record, config=replace(vm.config, uuid="", networks=networks)))
    await call.commit(changes, Done())
    return Done()
