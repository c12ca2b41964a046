"""What an older store was about to do, and must not do now: how far it came since, nobody knows.

This module refuses to know hosts. A plan that was being carried out would launch again what has been launched and ended
since; a namespace that was being cleared may have been made anew; VMs that a save had paused have gone on.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from shoal.core.ranges import expand
from shoal.messages.doctor import RepairStep
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord, PlanRecord, QueueEntry

_UNKNOWN = "how far it came since this copy is not known"


def abandon(model: Model, changes: Changes, launched: set[tuple[str, str]]) -> Iterator[RepairStep]:
    """Put into `changes` what is given up, and say so. `launched` are the VMs (namespace, name) that there are."""
    for namespace, plans in model.plans.items():
        for plan in plans.values():
            if plan.state != "completed":
                changes.delete(plan, *model.chunks[namespace, plan.plan].values())
                yield _plan_step(plan)
    for namespace, entries in model.queues.items():
        for entry in entries.values():
            if entry.plan or _overtaken(entry, launched):
                changes.delete(entry)
                yield RepairStep(
                    action="remove",
                    object=f"queue {namespace}/{entry.entry}",
                    why=f"{entry.names or f'{entry.count} VMs'} may have been launched since: queue again what is missing",
                )
    for name, stored in model.namespaces.items():
        record = changes.writes.get(subject_of(stored), stored)
        assert isinstance(record, NamespaceRecord)
        if record.clearing:
            record = replace(record, clearing=False)
            yield RepairStep(
                action="correct", object=f"namespace {name}", why=f"it was being cleared, and {_UNKNOWN}"
            )
        if record.save is not None and record.save.state == "running":
            save = replace(record.save, state="failed", resume="", reason=_UNKNOWN)
            record = replace(record, save=save)
            yield RepairStep(
                action="correct", object=f"namespace {name}", why=f"it was being saved, and {_UNKNOWN}"
            )
        if record is not stored:
            changes.put(record)


def _plan_step(plan: PlanRecord) -> RepairStep:
    what = "was being carried out" if plan.state == "running" else "waited to be applied"
    return RepairStep(
        action="remove",
        object=f"plan {plan.namespace}/{plan.plan}",
        why=f"it {what}, and {_UNKNOWN}: launch again what is missing",
    )


def _overtaken(entry: QueueEntry, launched: set[tuple[str, str]]) -> bool:
    """Whether VMs of an entry exist by now."""
    names = expand(entry.names) if entry.names else []
    return any((entry.namespace, name) in launched for name in names)
