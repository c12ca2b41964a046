"""Which events a new leader has to publish."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal import subjects
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, State, TapRecord, TapStatus, VMStatus
from shoal.messages.events import (
    BridgeCreated,
    BridgeRemoved,
    Event,
    HostAlive,
    HostDraining,
    HostForgotten,
    HostLost,
    HostResumed,
    NamespaceChanged,
    NamespaceCreated,
    NamespaceRemoved,
    ScheduleCompleted,
    ScheduleStarted,
    TapCreated,
    TapRemoved,
    VMFailed,
    VMLaunched,
    VMQuit,
    VMRemoved,
    VMsQueued,
    VMStarted,
)
from shoal_orchestrator.core import present
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.missing_events import PORTION, missing_events
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import SeenHost
from shoal_orchestrator.core.records import BridgeRecord, HostRecord, NamespaceRecord, PlanRecord, QueueEntry
from shoal_orchestrator.core.told import Told


def model_of(*records: msgspec.Struct) -> Model:
    model = Model()
    for record in records:
        model.apply(subject_of(record), record)
    return model


def launch(name: str = "web", instance: str = "i1", **changes: Any) -> LaunchRecord:
    record = LaunchRecord(
        namespace="red",
        name=name,
        id=0,
        instance=instance,
        revision=1,
        power="running",
        host="mm1",
        incarnation="1",
        uuid="u",
        config=VMConfig(),
    )
    return msgspec.structs.replace(record, **changes)


def tap(name: str = "t0", **changes: Any) -> TapRecord:
    record = TapRecord(
        namespace="red", tap=name, revision=1, host="mm1", incarnation="1", bridge="b", vlan=101, segment="s"
    )
    return msgspec.structs.replace(record, **changes)


def plan(name: str, state: Any) -> PlanRecord:
    return PlanRecord(
        namespace="red", plan=name, revision=1, state=state, launched=2, failures=1, total=3, hosts=2
    )


def status(name: str = "web", instance: str = "i1", state: State = "RUNNING", **changes: Any) -> VMStatus:
    return msgspec.structs.replace(
        VMStatus(namespace="red", name=name, instance=instance, revision=2, state=state), **changes
    )


def seen(*statuses: VMStatus, state: Any = "alive", taps: tuple[TapStatus, ...] = ()) -> dict[str, SeenHost]:
    host = SeenHost()
    host.state = state
    for each in statuses:
        host.take(each, 0.0)
    host.taps = {(each.namespace, each.tap): each for each in taps}
    return {"mm1": host}


RED = NamespaceRecord(name="red", hosts="mm1")
RED_TOLD = NamespaceCreated(namespace="red", name="red", hosts="mm1")
HOST = HostRecord(name="mm1", incarnation="1")


def told_of(*events: Event) -> Told:
    before = Told()
    for event in events:
        subject = subjects.event(event.namespace, event.noun, event.what, event.name)
        before.take_stored(subject, msgspec.json.encode(event))
    told = Told()
    told.inherit(before)
    return told


def missing(told: Told, model: Model, hosts: dict[str, SeenHost], *, removals: bool = True) -> list[Event]:
    return [event for portion in missing_events(told, model, hosts, removals=removals) for event in portion]


def test_where_nothing_was_told_everything_there_is_is_missing() -> None:
    """Hosts, namespaces, bridges, queue, plans, VMs and taps each lack the one event that tells how they are."""
    record = msgspec.structs.replace(RED, bridges={"lan": BridgeRecord(key=7)})
    model = model_of(
        msgspec.structs.replace(HOST, draining=True),
        record,
        QueueEntry(namespace="red", entry=4, count=2, config=VMConfig()),
        QueueEntry(namespace="red", entry=5, count=2, config=VMConfig(), plan="p1"),
        plan("p1", "running"),
        plan("p2", "dry-run"),
        launch(),
        tap(),
    )
    up = TapStatus(namespace="red", tap="t0", revision=1, up=True)
    assert missing(told_of(), model, seen(status(), taps=(up,))) == [
        HostAlive(name="mm1"),
        HostDraining(name="mm1"),
        RED_TOLD,
        BridgeCreated(namespace="red", name="lan", key=7),
        VMsQueued(namespace="red", name="4", vms="2", count=2),
        ScheduleStarted(namespace="red", name="p1", total=3, hosts=2),
        VMStarted(namespace="red", name="web", host="mm1", instance="i1", revision=2, id="i1-2-RUNNING"),
        TapCreated(namespace="red", name="t0", host="mm1"),
    ]


@pytest.mark.parametrize(("power", "asked"), [("off", True), ("running", False), ("paused", False)])
def test_the_end_of_a_vm_tells_whether_it_was_asked_for(power: Any, asked: bool) -> None:
    """A VM that was killed and one that powered itself off end in the same state: the event tells them apart."""
    event = present.of_vm(launch(power=power), status(state="QUIT"))
    assert isinstance(event, VMQuit)
    assert event.asked is asked


@pytest.mark.parametrize(
    ("state", "event"),
    [("BUILDING", VMLaunched), ("RUNNING", VMStarted), ("QUIT", VMQuit), ("ERROR", VMFailed)],
)
def test_a_vm_lacks_its_state_where_another_was_told(state: State, event: type[Event]) -> None:
    """Of a VM only the event of its present state is missing, and only if another one was told last."""
    model = model_of(HOST, RED, launch())
    hosts = seen(status(state=state, reason="why"))
    other = VMStarted if state != "RUNNING" else VMQuit
    of_old = told_of(HostAlive(name="mm1"), RED_TOLD, other(namespace="red", name="web", instance="i1"))
    (found,) = missing(of_old, model, hosts)
    assert (type(found), getattr(found, "reason", "")) == (event, "why")
    of_now = told_of(HostAlive(name="mm1"), RED_TOLD, event(namespace="red", name="web", instance="i1"))  # type: ignore[call-arg]
    assert missing(of_now, model, hosts) == []


@pytest.mark.parametrize(
    "hosts",
    [
        {},
        seen(),
        seen(status(revision=0, state="BUILDING", reason="waits")),
        seen(status(orphan=True)),
        seen(status(instance="i0")),
    ],
)
def test_of_what_no_host_has_spoken_nothing_is_told(hosts: dict[str, SeenHost]) -> None:
    """A VM of which its host has said nothing, or nothing of this instance, or that waits, gets no event."""
    model = model_of(RED, launch())
    assert missing(told_of(RED_TOLD), model, hosts) == []


def test_what_is_gone_is_told_to_be_gone() -> None:
    """VMs, taps and bridges that only the events have are told to be removed; those on their way out are not yet."""
    there = (
        RED_TOLD,
        VMStarted(namespace="red", name="web", instance="i1"),
        VMStarted(namespace="red", name="leaving", instance="i2"),
        TapCreated(namespace="red", name="t0", host="mm1"),
        BridgeCreated(namespace="red", name="lan", key=7),
    )
    model = model_of(RED, launch("leaving", "i2", power="gone"))
    assert missing(told_of(*there), model, {}) == [
        VMRemoved(namespace="red", name="web", instance="i1", id="i1-removed"),
        BridgeRemoved(namespace="red", name="lan"),
        TapRemoved(namespace="red", name="t0", host="mm1"),
    ]
    assert missing(told_of(*there), model, {}, removals=False) == []


def test_a_namespace_that_is_gone_takes_its_own_with_it() -> None:
    """Of a namespace that only the events have its own end is missing, and nothing of what was in it."""
    told = told_of(RED_TOLD, VMStarted(namespace="red", name="web", instance="i1"))
    assert missing(told, model_of(), {}) == [NamespaceRemoved(namespace="red", name="red")]
    told = told_of(RED_TOLD, NamespaceChanged(namespace="red", name="red", change="load memload"))
    assert missing(told, model_of(RED), {}) == []


def test_a_plan_that_has_ended_is_told_of_to_those_who_heard_that_it_began() -> None:
    """The end of a plan is missing where its start was told; one of which nothing is there (any more) is left alone."""
    model = model_of(RED, plan("p1", "completed"), plan("p2", "completed"))
    told = told_of(RED_TOLD, ScheduleStarted(namespace="red", name="p1", total=3, hosts=2))
    assert missing(told, model, {}) == [ScheduleCompleted(namespace="red", name="p1", launched=2, failures=1)]


def test_hosts_lack_how_they_are() -> None:
    """A host that was alive and is lost, and one that drained and does not any more, are told of; unknown ones not."""
    told = told_of(HostAlive(name="mm1"), HostDraining(name="mm1"))
    assert missing(told, model_of(HOST), seen(state="lost")) == [
        HostLost(name="mm1"),
        HostResumed(name="mm1"),
    ]
    assert missing(told_of(), model_of(HOST), seen(state="unknown")) == []
    assert missing(told_of(), model_of(HOST), {}) == []


def test_a_host_that_was_declared_dead_is_told_of_until_it_lives_again() -> None:
    """That a host is dead by an operator's word is told beside that it is lost; being alive ends it."""
    model, gone = model_of(msgspec.structs.replace(HOST, fenced=True)), seen(state="lost")
    assert missing(told_of(HostLost(name="mm1")), model, gone) == [HostForgotten(name="mm1")]
    told = told_of(HostLost(name="mm1"), HostForgotten(name="mm1"))
    assert missing(told, model, gone) == []
    told.take(HostAlive(name="mm1"))
    assert missing(told, model, gone) == [HostLost(name="mm1"), HostForgotten(name="mm1")]


def test_portions_are_small_and_see_what_has_changed_since() -> None:
    """Each portion is of at most a thousand objects, and as things are when it is asked for."""
    records = [launch(f"vm{number}", f"i{number}") for number in range(PORTION + 5)]
    model = model_of(*records)
    hosts = seen(*(status(record.name, record.instance) for record in records))
    portions = missing_events(told_of(), model, hosts, removals=False)
    assert len(next(portions)) == PORTION
    hosts["mm1"].take(status(records[-1].name, records[-1].instance, "QUIT"), 0.0)
    rest = next(portions)
    assert [type(event) for event in rest] == [VMStarted] * 4 + [VMQuit]
    assert next(portions, None) is None


STATES = st.sampled_from(["BUILDING", "RUNNING", "PAUSED", "QUIT", "ERROR"])
HISTORY = st.lists(st.tuples(st.integers(0, 3), STATES), max_size=20)


@given(HISTORY, st.integers(0, 20))
def test_the_last_events_tell_the_present_state_wherever_the_telling_broke_off(
    history: list[tuple[int, State]], cut: int
) -> None:
    """Whatever part of a history was told: with what is missing the last events are those of the whole history."""
    hosts = seen()
    model = model_of(*(launch(f"vm{number}", f"i{number}") for number in range(4)))
    events = []
    for revision, (number, state) in enumerate(history, 1):
        now = status(f"vm{number}", f"i{number}", state, revision=revision)
        hosts["mm1"].take(now, 0.0)
        event = present.of_vm(launch(f"vm{number}", f"i{number}"), now)
        assert event is not None
        events.append(event)
    told, whole = told_of(*events[:cut]), told_of(*events)
    found = missing(told, model, hosts)
    for late in found:
        told.take(late)
    assert {(name, last[:2]) for _, name, last in told.everything("vm")} == {
        (name, last[:2]) for _, name, last in whole.everything("vm")
    }
    assert missing(told, model, hosts) == []
    assert len(found) <= len({number for number, _ in history[cut:]})
