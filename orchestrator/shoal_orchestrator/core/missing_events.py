"""Which events are missing: what objects are now, where their last event says something else.

This module refuses to know the bus. What happened between the last event and now is not guessed at: of each object at
most one event is missing, the one that tells its present state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice

from shoal.messages.events import (
    BridgeRemoved,
    Event,
    HostDraining,
    HostForgotten,
    HostResumed,
    NamespaceRemoved,
    TapRemoved,
    VMRemoved,
)
from shoal_orchestrator.core import present
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import SeenHost
from shoal_orchestrator.core.told import Told

#: objects that are looked at in one go
PORTION = 1000
Looks = Iterator[Event | None]


def missing_events(
    told: Told, model: Model, seen: Mapping[str, SeenHost], *, removals: bool
) -> Iterator[tuple[Event, ...]]:
    """The missing events, in portions: each is what up to 1,000 objects lack at the moment when it is asked for.

    `seen` are the hosts as observed; what no host has spoken of yet lacks nothing. `removals`: whether what the state
    does not have is told to be gone. A state that has just begun knows nothing of what was before.
    """
    looks = chain(
        _hosts(told, model, seen),
        _namespaces(told, model),
        _plans(told, model),
        _vms(told, model, seen),
        _taps(told, model, seen),
        _gone(told, model) if removals else iter(()),
    )
    while portion := tuple(islice(looks, PORTION)):
        yield tuple(event for event in portion if event is not None)


def _lacking(told: Told, event: Event | None) -> Event | None:
    return event if event is not None and told.lacks(event) else None


def _hosts(told: Told, model: Model, seen: Mapping[str, SeenHost]) -> Looks:
    for name, record in list(model.hosts.items()):
        if name in seen:
            yield _lacking(told, present.of_host(name, seen[name].state))
        drain = told.says("", "drain", name)
        if record.draining:
            yield _lacking(told, HostDraining(name=name))
        elif drain is not None:
            yield _lacking(told, HostResumed(name=name))
        yield _lacking(told, HostForgotten(name=name)) if record.fenced else None


def _namespaces(told: Told, model: Model) -> Looks:
    for name, record in list(model.namespaces.items()):
        # That it has changed tells as well that it is there.
        known = told.says(name, "namespace", name)
        yield (
            None
            if known is not None and known.what == "changed"
            else _lacking(told, present.of_namespace(record))
        )
        for bridge in record.bridges:
            yield _lacking(told, present.of_bridge(record, bridge))
        for entry in list(model.queues.get(name, {}).values()):
            yield _lacking(told, present.of_entry(entry)) if not entry.plan else None


def _plans(told: Told, model: Model) -> Looks:
    for namespace, plans in list(model.plans.items()):
        for plan in list(plans.values()):
            # Plans are kept for longer than their events may be: one that has ended is only told of to who heard of it.
            unheard = told.says(namespace, "schedule", plan.plan) is None
            yield None if unheard and plan.state == "completed" else _lacking(told, present.of_plan(plan))


def _vms(told: Told, model: Model, seen: Mapping[str, SeenHost]) -> Looks:
    for launches in list(model.launches.values()):
        for record in list(launches.values()):
            status = seen[record.host].instances.get(record.instance) if record.host in seen else None
            yield _lacking(told, present.of_vm(record, status)) if status is not None else None


def _taps(told: Told, model: Model, seen: Mapping[str, SeenHost]) -> Looks:
    for taps in list(model.taps.values()):
        for record in list(taps.values()):
            status = (
                seen[record.host].taps.get((record.namespace, record.tap)) if record.host in seen else None
            )
            yield _lacking(told, present.of_tap(record, status))


def _gone(told: Told, model: Model) -> Looks:
    """What there is by the events alone. What is in a namespace that is gone goes with it."""
    for namespace, name, _ in told.everything("namespace"):
        yield None if namespace in model.namespaces else NamespaceRemoved(namespace=namespace, name=name)
    leaving = {(record.namespace, record.name) for record in model.leaving.values()}
    for namespace, name, last in told.everything("vm"):
        there = name in model.launches.get(namespace, {}) or (namespace, name) in leaving
        removed = VMRemoved(namespace=namespace, name=name, instance=last.about, id=f"{last.about}-removed")
        yield None if there or namespace not in model.namespaces else removed
    for namespace, name, _ in told.everything("bridge"):
        record = model.namespaces.get(namespace)
        there = record is None or name in record.bridges
        yield None if there else BridgeRemoved(namespace=namespace, name=name)
    for namespace, name, last in told.everything("tap"):
        there = (last.about, name) in model.taps.get(namespace, {})
        untold = TapRemoved(namespace=namespace, name=name, host=last.about)
        yield None if there or namespace not in model.namespaces else untold
