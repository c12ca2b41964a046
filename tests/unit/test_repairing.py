"""Records rebuilt from what hosts hold: changes and words, and nothing more to do once they are applied."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace
from tests.unit.repair_cases import CLUSTER, PORT, TAP, VM, holding, rebuild, status

from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord, TapStatus
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.holdings import Holding
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import (
    HostRecord,
    NamespaceRecord,
    NamespaceSave,
    PlanChunk,
    PlanRecord,
    QueueEntry,
)
from shoal_orchestrator.core.repairing import Rebuilt

VNI = 5 * 4096 + 101
LAN = replace(PORT, bridge="lan", vni=VNI, segment="shb-5-101")


def a_model(*records: msgspec.Struct) -> Model:
    model = Model()
    for record in (CLUSTER, *records):
        model.apply(subject_of(record), record)
    return model


def a_host(
    name: str, *records: LaunchRecord, taps: tuple[TapRecord, ...] = (), **more: object
) -> dict[str, Holding]:
    [found] = holding(*records, vms=tuple(map(status, records)), host=name).values()
    host = replace(found.host, underlay=f"10.0.0.{name[-1]}")
    return {name: replace(found, host=host, taps={(tap.namespace, tap.tap): tap for tap in taps}, **more)}


def applied(model: Model, rebuilt: Rebuilt) -> Model:
    for subject, record in rebuilt.changes.writes.items():
        model.apply(subject, record)
    model.apply(subject_of(rebuilt.cluster), rebuilt.cluster)
    return model


def said(rebuilt: Rebuilt) -> list[tuple[str, str]]:
    return [(step.action, step.object) for step in rebuilt.steps]


def test_an_empty_store_is_filled() -> None:
    """Hosts, VMs, namespace, and the segment of their private bridge, at a revision that hosts have not seen; once."""
    one = replace(VM, ports=(LAN,))
    two = replace(VM, name="b", instance="i2", host="mm2", ports=(LAN,))
    seen = SegmentRecord(
        vni=VNI, revision=4, namespace="red", bridge="lan", vlan=101, segment="shb-5-101", device="shx-5-101"
    )
    holdings = {**a_host("mm1", one, segments={VNI: seen}), **a_host("mm2", two)}
    model = a_model()
    rebuilt = rebuild(model, CLUSTER, holdings, backwards=True)
    assert said(rebuilt) == [
        ("write", "host mm1"),
        ("write", "host mm2"),
        ("write", "vm red/a on mm1"),
        ("write", "vm red/b on mm2"),
        ("write", "namespace red"),
    ]
    applied(model, rebuilt)
    assert model.launches["red"] == {"a": one, "b": two}
    assert model.segments[VNI].peers == {"mm1": "10.0.0.1", "mm2": "10.0.0.2"}
    assert model.segments[VNI].revision == 5
    again = rebuild(model, rebuilt.cluster, holdings, backwards=True)
    assert (again.steps, bool(again.changes)) == ((), False)


def test_a_segment_that_nobody_needs_is_to_be_removed() -> None:
    """A host holds it, the store does not: left as it is it would keep its key for ever."""
    seen = SegmentRecord(
        vni=VNI,
        revision=4,
        namespace="red",
        bridge="lan",
        vlan=101,
        segment="b",
        device="d",
        peers={"mm1": "x"},
    )
    model = a_model()
    rebuilt = rebuild(model, CLUSTER, a_host("mm1", segments={VNI: seen}), backwards=False)
    assert applied(model, rebuilt).segments[VNI].removed


def test_taps_are_rebuilt_like_vms() -> None:
    """The latest record counts; one that its host has removed for good is forgotten; a silent host's stays."""
    older, lost = replace(TAP, host="mm1", incarnation="inc"), replace(TAP, tap="t1", host="mm9")
    newer = replace(older, revision=3, ip="10.0.0.9/24")
    gone = replace(older, tap="t2")
    model = a_model(older, lost, gone)
    states = {("red", "t2"): TapStatus(namespace="red", tap="t2", revision=2, up=False, gone=True)}
    rebuilt = rebuild(model, CLUSTER, a_host("mm1", taps=(newer, gone), tap_states=states), backwards=False)
    assert ("correct", "tap red/t0 on mm1") in said(rebuilt)
    assert ("remove", "tap red/t2 on mm1") in said(rebuilt)
    applied(model, rebuilt)
    assert set(model.taps["red"].values()) == {newer, lost}


def test_what_an_older_store_was_about_to_do_is_given_up() -> None:
    """Plans, what they consume, clearing and saving: how far they came is not known. Other queued VMs stay."""
    plan = PlanRecord(namespace="red", plan="p", revision=1, state="running", chunks=1)
    chunk = PlanChunk(namespace="red", plan="p", chunk=1, placements={})
    config = VM.config
    consumed = QueueEntry(namespace="red", entry=0, count=1, names="x", plan="p", config=config)
    overtaken = QueueEntry(namespace="red", entry=1, count=2, names="a,q", config=config)
    waiting = QueueEntry(namespace="red", entry=2, count=1, names="w", config=config)
    red = NamespaceRecord(
        name="red", hosts="mm1", next_id=1, clearing=True, save=NamespaceSave(name="s", resume="a")
    )
    records = (plan, chunk, consumed, overtaken, waiting, red)
    model = applied(a_model(*records), rebuild(a_model(*records), CLUSTER, a_host("mm1", VM), backwards=True))
    assert model.plans["red"] == {}
    assert list(model.queues["red"].values()) == [waiting]
    after = model.namespaces["red"]
    assert not after.clearing
    assert after.save is not None
    assert (after.save.state, after.save.resume) == ("failed", "")


def test_a_healthy_store_goes_on_with_what_it_does() -> None:
    """A record that it lacks is written; a plan that is being carried out is not touched."""
    plan = PlanRecord(namespace="red", plan="p", revision=1, state="running")
    red = NamespaceRecord(name="red", hosts="mm1", next_id=1)
    host = HostRecord(name="mm1", incarnation="inc", underlay="10.0.0.1", draining=True)
    model = a_model(plan, red, host)
    rebuilt = rebuild(model, CLUSTER, a_host("mm1", VM), backwards=False)
    assert said(rebuilt) == [("write", "vm red/a on mm1")]
    assert list(rebuilt.changes.writes.values()) == [VM]


def test_a_host_that_was_declared_dead_and_answers_is_alive() -> None:
    """The word was taken back after this copy, or was wrong."""
    host = HostRecord(name="mm1", incarnation="inc", underlay="10.0.0.1", fenced=True)
    rebuilt = rebuild(a_model(host), CLUSTER, a_host("mm1"), backwards=False)
    assert said(rebuilt) == [("correct", "host mm1")]
    assert list(rebuilt.changes.writes.values()) == [replace(host, fenced=False)]


class Compared(LaunchRecord, frozen=True):
    """A record that counts how often it is compared with another."""

    count = 0

    def __eq__(self, other: object) -> bool:
        Compared.count += 1
        return super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as a record has none


@pytest.mark.parametrize("many", [10, 100])
def test_records_in_doubt_are_not_searched_for_each_that_is_over(many: int) -> None:
    """All VMs of a host that does not answer run elsewhere: as many comparisons as VMs, not their square."""
    Compared.count = 0
    fields = msgspec.structs.asdict(VM)
    silent = [
        Compared(**{**fields, "name": f"a{n}", "instance": f"old{n}", "host": "mm9"}) for n in range(many)
    ]
    newer = [replace(VM, name=f"a{n}", instance=f"new{n}", host="mm1") for n in range(many)]
    rebuilt = rebuild(a_model(*silent), CLUSTER, a_host("mm1", *newer), backwards=False)
    assert sum(action == "leave" for action, _ in said(rebuilt)) == many
    assert Compared.count <= 2 * many


def test_what_is_decided_between_the_parts_is_not_half_seen() -> None:
    """Others have their turn between the parts: the records come out as if it had all been one moment."""
    records = (VM, replace(VM, name="b", instance="i2"), replace(TAP, host="mm1"))
    holdings = a_host("mm1", replace(VM, revision=9))
    wanted = rebuild(a_model(*records), CLUSTER, holdings, backwards=True)
    model, pauses = a_model(*records), []

    def decide() -> None:
        pauses.append(1)
        for record in records:
            model.apply(subject_of(record), None)
        another = replace(VM, name=f"c{len(pauses)}", instance=f"c{len(pauses)}")
        model.apply(subject_of(another), another)

    found = rebuild(model, CLUSTER, holdings, backwards=True, meanwhile=decide)
    assert len(pauses) > 3
    assert (found.changes.writes, found.steps) == (wanted.changes.writes, wanted.steps)
