"""Handlers of commands about namespaces as a whole."""

from __future__ import annotations

import structlog

from shoal.core.names import check_namespace
from shoal.core.ranges import fold
from shoal.errors import NotFound, Refused
from shoal.messages.events import NamespaceCreated, NamespaceRemoved
from shoal.messages.namespaces import (
    ClearNamespace,
    CreateNamespace,
    ListNamespaces,
    NamespaceCleared,
    NamespaceReady,
    NamespaceRow,
    Namespaces,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import being_cleared, bury_namespace, empty_namespace, remains
from shoal_orchestrator.core.records import DEFAULT_NAMESPACE, NamespaceRecord
from shoal_orchestrator.core.vlans import describe_range
from shoal_orchestrator.handlers.collecting import end, held
from shoal_orchestrator.leader import Call, Leader

LOG = structlog.get_logger("shoal.namespaces")


async def list_namespaces(leader: Leader, _: str, request: ListNamespaces, __: Call) -> Namespaces:
    """Every namespace, with the number of its VMs."""
    return Namespaces(
        items=tuple(
            NamespaceRow(
                namespace=record.name,
                vms=len(leader.model.launches[record.name]),
                vlans=describe_range(record.vlan_range, default=record.name == DEFAULT_NAMESPACE),
                active=record.name == request.active,
            )
            for record in sorted(leader.model.namespaces.values(), key=lambda record: record.name)
        )
    )


async def create_namespace(leader: Leader, _: str, request: CreateNamespace, call: Call) -> NamespaceReady:
    """Create a namespace, or find that it is there."""
    name = check_namespace(request.name)
    existing = leader.model.namespaces.get(name)
    if existing is not None and existing.clearing:
        # The old one goes first; what the caller asked for then comes.
        await leader.inventory.wait_for(lambda: name not in leader.model.namespaces)
        existing = leader.model.namespaces.get(name)
    if existing is not None:
        return NamespaceReady()
    hosts = fold(leader.default_hosts())
    changes = Changes()
    changes.put(NamespaceRecord(name=name, hosts=hosts))
    changes.tell(NamespaceCreated(namespace=name, name=name, hosts=hosts))
    reply = NamespaceReady(created=True)
    await call.commit(changes, reply)
    return reply


async def clear_namespace(leader: Leader, _: str, request: ClearNamespace, call: Call) -> NamespaceCleared:
    """Take a namespace (or all) apart on every host, and wait until that is done."""
    model = leader.model
    names = sorted(model.namespaces) if request.name == "all" else [check_namespace(request.name)]
    if call.repeat:
        # It was begun before. What is there under these names and is not being cleared came later.
        names = [name for name in names if name in model.namespaces and model.namespaces[name].clearing]
    elif request.name not in ("all", *model.namespaces):
        raise NotFound(f"no such namespace: `{request.name}`; `namespace` lists them", names=(request.name,))
    notes = await _end_captures(leader, names, call)
    changes = Changes()
    # Others may have been cleared while their captures were put into the store.
    names = [name for name in names if name in model.namespaces]
    # What is to be cleared is known from the first batch on, so that the next leader goes on with all of it.
    changes.put(*(being_cleared(model.namespaces[name]) for name in names))
    for name in names:
        changes_of = empty_namespace(model, name)
        changes.writes.update(changes_of.writes)
        changes.tell(*changes_of.events)
    await call.commit(changes)
    for name in names:
        notes.extend(await finish_clearing(leader, name, call))
    reply = NamespaceCleared(namespaces=tuple(names), notes=tuple(notes))
    await call.commit(Changes(), reply)
    return reply


async def _end_captures(leader: Leader, names: list[str], call: Call) -> list[str]:
    """Captures end first, so that they are whole; what cannot be done now the hosts do when they clear up."""
    found, failures = await held(leader, names)
    collected = await end(leader, found, call.progress)
    return [*collected.notes, *(failure.message for failure in (*failures, *collected.failures))]


async def finish_clearing(leader: Leader, name: str, call: Call) -> list[str]:
    """Wait until the hosts have removed all of a namespace, then forget it. Hosts that are lost are named."""
    total = max(1, remains(leader.model, name))

    def waits_for_lost() -> list[str]:
        hosts = {record.host for record in leader.model.leaving.values() if record.namespace == name}
        hosts |= {tap.host for tap in leader.model.taps[name].values()}
        lost = [host for host in hosts if leader.inventory.state(host) == "lost"]
        return lost if len(lost) == len(hosts) else []

    def done() -> bool:
        left = remains(leader.model, name)
        call.progress(total - left, total, f"clearing {name}")
        return left == 0 or not _is_cleared(leader, name) or bool(waits_for_lost())

    await leader.inventory.wait_for(done)
    if name in leader.model.namespaces and not _is_cleared(leader, name):
        raise Refused(
            f"clearing namespace {name} was given up by a repair: clear it again if it is to go",
            names=(name,),
        )
    lost = waits_for_lost()
    if lost:
        leader.spawn(_finish_later(leader, name), f"clear {name}")
        hosts = fold(lost)
        return [f"namespace {name}: {hosts} cannot be reached; what is there is removed when it comes back"]
    await _forget(leader, name)
    return []


def _is_cleared(leader: Leader, name: str) -> bool:
    record = leader.model.namespaces.get(name)
    return record is not None and record.clearing


async def _finish_later(leader: Leader, name: str) -> None:
    await leader.inventory.wait_for(lambda: remains(leader.model, name) == 0 or not _is_cleared(leader, name))
    await _forget(leader, name)


async def resume_clearing(leader: Leader, name: str) -> None:
    """Go on with a namespace that a predecessor began to clear."""
    found, _ = await held(leader, [name])
    await end(leader, found, lambda *_: None)
    if _is_cleared(leader, name):
        # Its batches may not all have been stored.
        await leader.commit(empty_namespace(leader.model, name))
    await _finish_later(leader, name)


async def _forget(leader: Leader, name: str) -> None:
    if not _is_cleared(leader, name):
        return  # it is gone already, or a repair has given it up
    changes = bury_namespace(leader.model, name)
    changes.tell(NamespaceRemoved(namespace=name, name=name))
    if name == DEFAULT_NAMESPACE:
        changes.put(NamespaceRecord(name=name))
        changes.tell(NamespaceCreated(namespace=name, name=name))
    await leader.commit(changes)
    LOG.info("namespace-removed", namespace=name)
