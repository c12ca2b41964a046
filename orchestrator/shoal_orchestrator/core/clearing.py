"""Taking a namespace apart: what is to go at once, what waits for the hosts, and what is forgotten at the end.

This module refuses to know hosts' states and time.
"""

from __future__ import annotations

from msgspec.structs import replace

from shoal.messages.desired import LaunchRecord, TapRecord
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord


def incarnation_of(model: Model, record: LaunchRecord | TapRecord) -> str:
    """The incarnation of the record's host now: what ends something is for whoever has the host's name."""
    host = model.hosts.get(record.host)
    return host.incarnation if host else record.incarnation


def gone(model: Model, record: LaunchRecord) -> LaunchRecord:
    """The record that ends a VM for good."""
    return replace(
        record,
        revision=record.revision + 1,
        power="gone",
        ports=(),
        incarnation=incarnation_of(model, record),
    )


def removed(model: Model, record: TapRecord) -> TapRecord:
    """The record that removes a host tap."""
    return replace(
        record, revision=record.revision + 1, removed=True, incarnation=incarnation_of(model, record)
    )


def readdressed(model: Model, host: str, incarnation: str) -> list[LaunchRecord | TapRecord]:
    """What is to go from a host, for the incarnation that has its name now: another one would not obey it."""
    vms = [
        replace(record, incarnation=incarnation, revision=record.revision + 1)
        for record in model.leaving.values()
        if record.host == host and record.incarnation != incarnation
    ]
    taps = [
        replace(tap, incarnation=incarnation, revision=tap.revision + 1)
        for those in model.taps.values()
        for tap in those.values()
        if tap.host == host and tap.removed and tap.incarnation != incarnation
    ]
    return [*vms, *taps]


def being_cleared(record: NamespaceRecord) -> NamespaceRecord:
    """The record of a namespace from the beginning of its clearing on."""
    return replace(record, clearing=True, queueing=False)


def empty_namespace(model: Model, name: str) -> Changes:
    """End its VMs, remove its taps, drop queue, plans and configurations, and mark it as being cleared."""
    changes = Changes()
    changes.put(being_cleared(model.namespaces[name]))
    changes.put(*(gone(model, vm) for vm in model.launches[name].values()))
    changes.put(*(removed(model, tap) for tap in model.taps[name].values() if not tap.removed))
    changes.delete(*model.everything_of(name))
    return changes


def remains(model: Model, name: str) -> int:
    """How many VMs, taps and segments of a namespace its hosts still have."""
    vms = sum(record.namespace == name for record in model.leaving.values())
    segments = sum(record.namespace == name for record in model.segments.values())
    return vms + len(model.launches[name]) + len(model.taps[name]) + segments


def bury_namespace(model: Model, name: str) -> Changes:
    """Forget a namespace of which nothing remains."""
    changes = Changes()
    changes.delete(model.namespaces[name])
    changes.delete(*model.everything_of(name))
    return changes
