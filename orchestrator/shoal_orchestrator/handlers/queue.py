"""Handlers of commands about the queue."""

from __future__ import annotations

from msgspec.structs import replace

from shoal.core.vmconfig_text import describe
from shoal.messages.base import Done, Said
from shoal.messages.events import NamespaceChanged, QueueFlushed
from shoal.messages.schedule import FlushQueue, SetQueueing, ShowQueue
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.handlers.planning import dry_run_records
from shoal_orchestrator.leader import Call, Leader


async def set_queueing(leader: Leader, namespace: str, request: SetQueueing, call: Call) -> Said:
    """Show or set whether launches wait in the queue."""
    record = leader.namespace(namespace)
    if request.enabled is None:
        return Said(text=str(record.queueing).lower())
    changes = Changes()
    changes.put(replace(record, queueing=request.enabled))
    change = f"queueing {str(request.enabled).lower()}"
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=change))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


async def show_queue(leader: Leader, namespace: str, _: ShowQueue, __: Call) -> Said:
    """What is queued, entry by entry."""
    leader.namespace(namespace)
    return Said(
        text="\n\n".join(
            f"VMs: {entry.count}\nNames: {entry.names}\nVM Type: kvm\n\n{describe(entry.config)}".rstrip()
            for entry in leader.model.queued(namespace)
        )
    )


async def flush_queue(leader: Leader, namespace: str, _: FlushQueue, call: Call) -> Done:
    """Empty the queue and drop the dry run."""
    leader.namespace(namespace)
    changes = Changes()
    changes.delete(*leader.model.queued(namespace))
    changes.delete(*dry_run_records(leader, namespace))
    changes.tell(QueueFlushed(namespace=namespace, name=namespace))
    await call.commit(changes, Done())
    return Done()
