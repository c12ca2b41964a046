"""Records rebuilt from what the store has and what hosts hold: the changes, and what they are in words.

This module refuses to know how hosts are asked, and how changes are stored. It looks at everything and decides
everything: whoever carries it out only stores it. Applied once, it finds nothing more to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from shoal import subjects
from shoal.core.ranges import fold
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal.messages.doctor import RepairStep
from shoal_orchestrator.core.abandoned import abandon
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.claimants import Judged, judge
from shoal_orchestrator.core.holdings import Holding
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord
from shoal_orchestrator.core.regained import Regained
from shoal_orchestrator.core.segments import segment_changes

_LACKED = "the store lacked it"
_OLDER = "the store had an older revision"


class Rebuilt(msgspec.Struct, frozen=True):
    """What a repair comes to. `cluster` is the cluster's record as it should be; it is not among the changes."""

    changes: Changes
    steps: tuple[RepairStep, ...]
    cluster: ClusterRecord


def rebuilding(
    model: Model, cluster: ClusterRecord, holdings: Mapping[str, Holding], *, backwards: bool
) -> Generator[None, None, Rebuilt]:
    """Work out the records, and pause after each part of the work: with 100,000 VMs each takes a third of a second.

    It reads a copy, made before the first pause: all parts see one state, and none sees what is decided meanwhile.
    Whoever stores what comes of it does not pause: nothing may be changed between the copy and then.

    `holdings` are those of the hosts that have answered; of others the store's word stands. `backwards`: the store is
    older than what hosts have seen, or another one. What it was about to do is given up.
    """
    model = _copied(model)
    yield
    changes = Changes()
    steps = [*_hosts(model, holdings, changes)]
    judged = judge(model, holdings)
    yield
    steps += _vms(model, judged, changes)
    yield
    taps = list(_latest_taps(model, holdings))
    steps += _taps(model, holdings, taps, changes)
    regained = Regained(model, cluster)
    regained.take(judged.right, (tap for tap in taps if not tap.removed))
    steps += _namespaces(model, regained, changes)
    yield
    if backwards:
        launched = {(record.namespace, record.name) for record in judged.right}
        steps += abandon(model, changes, launched)
        yield
    changes.put(*_segments(model, regained.cluster, holdings, changes))
    return Rebuilt(changes, tuple(steps), regained.cluster)


def _copied(model: Model) -> Model:
    copy = Model()
    for subject, record in model.records.items():
        copy.apply(subject, record)
    return copy


def _hosts(model: Model, holdings: Mapping[str, Holding], changes: Changes) -> Iterator[RepairStep]:
    for name, holding in sorted(holdings.items()):
        stored = model.hosts.get(name)
        record = replace(holding.host, draining=stored is not None and stored.draining)
        if stored == record:
            continue
        changes.put(record)
        if stored is None:
            yield RepairStep(action="write", object=f"host {name}", why=_LACKED)
        elif stored.fenced or stored.incarnation != record.incarnation:
            why = "it is alive" if stored.fenced else "it was set up anew since this copy"
            yield RepairStep(action="correct", object=f"host {name}", why=why)


# --- VMs -------------------------------------------------------------------------------------------------


def _vms(model: Model, judged: Judged, changes: Changes) -> Iterator[RepairStep]:
    alike: defaultdict[tuple[str, str, str, str], list[str]] = defaultdict(list)

    def note(action: str, record: LaunchRecord, why: str) -> None:
        alike[action, record.namespace, record.host, why].append(record.name)

    in_doubt = {record.instance for record in judged.in_doubt}
    # What is over first: the record of another instance may have its subject.
    for record in judged.over:
        changes.delete(record)
        if record.instance not in in_doubt:
            note("remove", record, "its host has ended it for good, or has another instance")
    for record in judged.ending:
        if model.records.get(subject_of(record)) != record:
            changes.put(record)
            note("correct", record, "it is to be gone, and its host has not ended it for good yet")
    for record in judged.right:
        stored = model.records.get(subject_of(record))
        if stored == record:
            changes.writes.pop(subject_of(record), None)
            continue
        changes.put(record)
        same = isinstance(stored, LaunchRecord) and stored.instance == record.instance
        note("correct" if same else "write", record, _OLDER if same else _LACKED)
    for record in judged.in_doubt:
        note(
            "leave",
            record,
            f"another instance of this name counts; this one ({record.instance}) may run there: look once it is back",
        )
    for (action, namespace, host, why), names in alike.items():
        yield _step(action, f"vm {namespace}/{fold(names)} on {host}", why)
    for host, status in judged.left_alone:
        yield _step(
            "leave",
            f"vm {status.namespace}/{status.name} on {host}",
            f"instance {status.instance} runs, and another of its name counts or its host has no record of it: it is left "
            "alone; end it by hand",
        )


def _step(action: str, about: str, why: str) -> RepairStep:
    return msgspec.convert({"action": action, "object": about, "why": why}, RepairStep)


# --- taps ------------------------------------------------------------------------------------------------


def _latest_taps(model: Model, holdings: Mapping[str, Holding]) -> Iterator[TapRecord]:
    """The taps as they should be: of each host that has answered the latest record, else the store's."""
    for taps in model.taps.values():
        for tap in taps.values():
            holding = holdings.get(tap.host)
            if holding is None or holding.host.incarnation != tap.incarnation:
                yield tap
                continue
            theirs = holding.taps.get((tap.namespace, tap.tap))
            if not _tap_over(tap, holding) and (theirs is None or theirs.revision <= tap.revision):
                yield tap
    for name, holding in holdings.items():
        for (namespace, tap_name), tap in holding.taps.items():
            stored = model.taps.get(namespace, {}).get((name, tap_name))
            stale = stored is not None and stored.incarnation != holding.host.incarnation
            newer = stored is None or stale or stored.revision < tap.revision
            if newer and not _tap_over(tap, holding):
                yield tap


def _tap_over(tap: TapRecord, holding: Holding) -> bool:
    """Whether the host has removed the tap for good since this record was written."""
    state = holding.tap_states.get((tap.namespace, tap.tap))
    return state is not None and state.gone and state.revision >= tap.revision


def _taps(
    model: Model, holdings: Mapping[str, Holding], taps: Iterable[TapRecord], changes: Changes
) -> Iterator[RepairStep]:
    staying = set()
    for tap in taps:
        subject = subject_of(tap)
        staying.add(subject)
        stored = model.records.get(subject)
        if stored != tap:
            changes.put(tap)
            action, why = ("write", _LACKED) if stored is None else ("correct", _OLDER)
            yield _step(action, f"tap {tap.namespace}/{tap.tap} on {tap.host}", why)
    for stored_taps in model.taps.values():
        for tap in stored_taps.values():
            if subject_of(tap) not in staying and tap.host in holdings:
                changes.delete(tap)
                yield _step(
                    "remove", f"tap {tap.namespace}/{tap.tap} on {tap.host}", "its host has removed it"
                )


# --- what follows from VMs and taps ----------------------------------------------------------------------


def _namespaces(model: Model, regained: Regained, changes: Changes) -> Iterator[RepairStep]:
    for record in regained.changed():
        changes.put(record)
        if record.name not in model.namespaces:
            why = f"{_LACKED}: regained from its VMs and taps, without queue, limits and configurations"
            yield RepairStep(action="write", object=f"namespace {record.name}", why=why)
        else:
            why = "it lacked hosts, aliases, bridges or numbers that its VMs and taps have"
            yield RepairStep(action="correct", object=f"namespace {record.name}", why=why)
    for about, told in regained.troubles:
        yield RepairStep(action="leave", object=about, why=told)


def _segments(
    model: Model, cluster: ClusterRecord, holdings: Mapping[str, Holding], changes: Changes
) -> list[SegmentRecord]:
    """The segments of all ports once the model has the changes, which it gets. What nobody needs is to be removed."""
    stored = dict(model.segments)
    for subject, changed in changes.writes.items():
        model.apply(subject, changed)
    model.apply(subjects.CLUSTER, cluster)
    for holding in holdings.values():
        for segment in holding.segments.values():
            known = model.segments.get(segment.vni)
            if (known is None and not segment.removed) or (known and known.revision < segment.revision):
                model.apply(subject_of(segment), segment)
    computed = {
        segment.vni: segment for segment in segment_changes(model, cluster, {*model.segments, *model.ports})
    }
    latest = {**model.segments, **computed}
    return [segment for vni, segment in sorted(latest.items()) if stored.get(vni) != segment]
