"""What was told last of each object."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal import subjects
from shoal.messages.events import (
    BridgeCreated,
    BridgeRemoved,
    Event,
    HostAlive,
    HostDraining,
    HostLost,
    HostResumed,
    NamespaceChanged,
    NamespaceCreated,
    NamespaceRemoved,
    QueueFlushed,
    TapCreated,
    TapRemoved,
    VMEvent,
    VMFailed,
    VMLaunched,
    VMQuit,
    VMRemoved,
    VMsQueued,
    VMStarted,
)
from shoal_orchestrator.core.told import Told


def vm(kind: type[VMEvent], name: str = "web", instance: str = "i1", revision: int = 1) -> VMEvent:
    return kind(namespace="red", name=name, instance=instance, revision=revision, host="mm1")


def knowing(*events: Event) -> Told:
    """What somebody knows who has read these events from the stream."""
    before = Told()
    for event in events:
        subject = subjects.event(event.namespace, event.noun, event.what, event.name)
        before.take_stored(subject, msgspec.json.encode(event))
    told = Told()
    told.inherit(before)
    return told


def test_what_the_last_event_says_is_not_lacked() -> None:
    """The state that was told last is known; any other, of any other VM or instance, is lacked."""
    told = knowing(vm(VMLaunched), vm(VMStarted, revision=2))
    assert not told.lacks(vm(VMStarted, revision=2))
    assert not told.lacks(vm(VMStarted, revision=7))
    assert told.lacks(vm(VMLaunched))
    assert told.lacks(vm(VMStarted, instance="i2"))
    assert told.lacks(vm(VMStarted, name="db"))


def test_before_the_stream_is_read_nobody_knows_of_what_was_inherited() -> None:
    """An instance of an earlier leader lacks nothing yet, a new one lacks what was not told; then all is known."""
    told = Told(frozenset({"i1"}))
    assert not told.lacks(vm(VMStarted))
    assert told.lacks(vm(VMStarted, name="db", instance="i2"))
    assert not told.lacks(HostAlive(name="mm1"))
    told.take(vm(VMQuit))
    assert not told.lacks(vm(VMQuit))
    told.inherit(Told())
    assert told.lacks(HostAlive(name="mm1"))
    assert not told.lacks(vm(VMQuit))


def test_what_this_leader_told_goes_over_what_the_stream_had() -> None:
    """Events that were published while the stream was read stay the last ones, ends among them."""
    before = Told()
    for event in (vm(VMLaunched), vm(VMLaunched, "db", "i2")):
        before.take_stored(subjects.event("red", "vm", event.what, event.name), msgspec.json.encode(event))
    told = Told(frozenset({"i1", "i2"}))
    told.take(vm(VMStarted, revision=2))
    told.take(vm(VMRemoved, "db", "i2"))
    told.inherit(before)
    assert not told.lacks(vm(VMStarted, revision=2))
    assert told.says("red", "vm", "db") is None


def test_a_name_that_was_given_away_again_keeps_its_new_instance() -> None:
    """The end of an instance says nothing of the next one under its name, in whatever order they are told."""
    told = knowing(vm(VMLaunched), vm(VMLaunched, instance="i2"), vm(VMRemoved, instance="i1"))
    assert not told.lacks(vm(VMLaunched, instance="i2"))
    assert knowing(vm(VMLaunched), vm(VMRemoved)).says("red", "vm", "web") is None


def test_with_a_namespace_all_that_was_in_it_is_gone() -> None:
    """After the end of a namespace nothing in it counts as told: the next one of its name begins anew."""
    told = knowing(
        NamespaceCreated(namespace="red", name="red"),
        vm(VMStarted),
        VMsQueued(namespace="red", name="0", count=1),
        NamespaceRemoved(namespace="red", name="red"),
    )
    for noun in ("namespace", "vm", "queue"):
        assert list(told.everything(noun)) == []


def test_a_host_is_told_to_drain_beside_how_it_is() -> None:
    """That a host drains does not hide whether it is alive, nor the other way round."""
    told = knowing(HostAlive(name="mm1"), HostDraining(name="mm1"))
    assert not told.lacks(HostAlive(name="mm1"))
    assert not told.lacks(HostDraining(name="mm1"))
    assert told.lacks(HostLost(name="mm1"))
    assert told.lacks(HostResumed(name="mm1"))


def test_taps_and_bridges_are_told_apart_by_host_and_key() -> None:
    """A tap of the same name elsewhere, a bridge that got another key: they are lacked. Their ends are ends."""
    tap, bridge = (
        TapCreated(namespace="red", name="t0", host="mm1"),
        BridgeCreated(namespace="red", name="b", key=7),
    )
    told = knowing(tap, bridge)
    assert not told.lacks(tap)
    assert not told.lacks(bridge)
    assert told.lacks(msgspec.structs.replace(tap, host="mm2"))
    assert told.lacks(msgspec.structs.replace(bridge, key=8))
    told.take(TapRemoved(namespace="red", name="t0", host="mm1"))
    told.take(BridgeRemoved(namespace="red", name="b"))
    assert told.lacks(tap)
    assert told.lacks(bridge)


def test_a_flushed_queue_has_no_entries() -> None:
    """After a flush no entry counts as told."""
    told = knowing(VMsQueued(namespace="red", name="0", count=1), QueueFlushed(namespace="red", name="red"))
    assert told.lacks(VMsQueued(namespace="red", name="0", count=1))


def test_what_is_no_event_is_passed_over() -> None:
    """Subjects of other forms, bodies that are no JSON, no map, or of other types: nothing is learnt, nothing raises."""
    told = Told()
    for subject, body in (
        ("shoal.event.probe", b"{}"),
        ("shoal.event.red.vm.started.web.more", b"{}"),
        ("shoal.event.red.vm.started.web", b"\xff\x00"),
        ("shoal.event.red.vm.started.web", b"[]"),
        ("shoal.event.red.vm.started.web", b'{"instance": 7}'),
    ):
        told.take_stored(subject, body)
    assert list(told.everything("vm")) == []


def test_something_again_of_the_same_revision_is_known_as_such() -> None:
    """What a VM does without having been asked to has the revision of what was told before; what it was asked to has not."""
    told = knowing(vm(VMStarted, revision=2))
    assert told.again(vm(VMFailed, revision=2))
    assert not told.again(vm(VMQuit, revision=3))
    assert not told.again(vm(VMStarted, instance="i2", revision=2))
    assert not told.again(HostAlive(name="mm1"))
    assert not knowing().again(vm(VMStarted))


def test_a_lost_event_is_lacked_unless_a_later_one_was_taken() -> None:
    """What was dropped is missing; an end that was dropped leaves something that still has to be ended."""
    told = knowing()
    told.take(vm(VMStarted))
    told.lose(vm(VMStarted))
    assert told.lacks(vm(VMStarted))
    told.take(vm(VMQuit, revision=2))
    told.lose(vm(VMStarted))
    assert not told.lacks(vm(VMQuit, revision=2))
    told.take(vm(VMRemoved))
    told.lose(vm(VMRemoved))
    assert [(namespace, name, last.about) for namespace, name, last in told.everything("vm")] == [
        ("red", "web", "i1")
    ]
    told.take(NamespaceChanged(namespace="blue", name="blue", change="load memload"))
    told.lose(NamespaceChanged(namespace="blue", name="blue", change="load memload"))
    assert told.lacks(NamespaceCreated(namespace="blue", name="blue"))


KINDS = st.sampled_from([VMLaunched, VMStarted, VMQuit, VMFailed, VMRemoved])
HISTORIES = st.lists(
    st.tuples(KINDS, st.sampled_from(["a", "b"]), st.sampled_from(["i1", "i2"]), st.integers(1, 3)),
    max_size=12,
)


@given(HISTORIES, st.integers(0, 12))
def test_reading_and_taking_come_to_the_same(
    history: list[tuple[type[VMEvent], str, str, int]], cut: int
) -> None:
    """However a history is divided between what the stream had and what was told since, the last events are the same."""
    events = [vm(kind, name, instance, revision) for kind, name, instance, revision in history]
    divided = Told()
    for event in events[cut:]:
        divided.take(event)
    before = Told()
    for event in events[:cut]:
        before.take_stored(subjects.event("red", "vm", event.what, event.name), msgspec.json.encode(event))
    divided.inherit(before)
    assert list(divided.everything("vm")) == list(knowing(*events).everything("vm"))
