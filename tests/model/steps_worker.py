"""What a worker does, and what may befall it: claims, reads, takes in records, acts, crashes.

Refuses to know orchestrators beyond the claim and the report. What is decided is decided by the worker's own code:
`DesiredState` merges records and `diff` says what to do; here only the order of things is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from tests.model.state import (
    HOSTS,
    Outcome,
    Record,
    Rules,
    Scenario,
    Status,
    Step,
    Stored,
    Worker,
    World,
    put,
)

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord
from shoal_worker.core import actions
from shoal_worker.core.desired import DesiredState, Held, is_tombstone
from shoal_worker.core.diff import diff
from shoal_worker.core.statuses import vm_status
from shoal_worker.hypervisor import Guest

_SUBJECT = "shoal.launch.h.n.a"


def steps(scenario: Scenario, world: World) -> Iterator[Step]:
    """Everything that may happen to the workers next."""
    for host in HOSTS:
        worker = world.workers[host]
        for name, after in _steps(scenario, world, host, worker):
            if after != worker:
                yield f"worker {host} {name}", world._replace(workers=put(world.workers, host, after))
        for name, after in _faults(scenario, world, worker):
            hurt = world._replace(workers=put(world.workers, host, after), faults=world.faults - 1)
            yield f"worker {host} {name}", hurt


def _steps(scenario: Scenario, world: World, host: int, worker: Worker) -> Iterator[tuple[str, Worker]]:
    rules = scenario.rules
    if worker.mode == "down":
        yield "starts again", worker._replace(mode="up")
        return
    if worker.cut:
        yield "is reached again", worker._replace(cut=False)
    elif worker.mode == "acting":
        for message in world.server.sent[host]:
            yield f"hears {_text(message)}", taken(rules, worker, message)
        yield "reads all of the store", taken(rules, worker, world.server.known.launches[host], whole=True)
    for instance in worker.pending:
        grown = worker.guests | {(instance, False)}
        late = worker._replace(guests=grown, pending=worker.pending - {instance})
        yield f"finds guest {instance}, whose creation had timed out", late
    if worker.mode == "acting":
        yield from _act(rules, worker, worker.held.record if worker.held is not None else None)


def _faults(scenario: Scenario, world: World, worker: Worker) -> Iterator[tuple[str, Worker]]:
    if world.rolled is None and "rollback" in scenario.faults:
        return  # what goes wrong before that is searched without it
    if worker.mode != "down" and scenario.allows(world, "crash-worker"):
        yield "is killed", worker._replace(mode="down", held=None, erased=0, cut=False)
    if worker.mode != "down" and not worker.cut and scenario.allows(world, "cut"):
        yield "is cut off", worker._replace(cut=True)
    if scenario.allows(world, "late-creation") and worker.mode == "acting" and worker.held is not None:
        record = worker.held.record
        if record is not None and _next(scenario.rules, record, worker)[:1] == ("create",):
            yield (
                f"creates guest {record.instance}, which times out",
                worker._replace(pending=worker.pending | {record.instance}),
            )


def _act(rules: Rules, worker: Worker, record: Record | None) -> Iterator[tuple[str, Worker]]:
    """The first of the actions that `diff` asks for; the others follow from what is there then."""
    todo = _next(rules, record, worker)
    if not todo:
        return
    kind, argument = todo
    guests, journal = worker.guests, worker.journal
    if kind == "create":
        yield (
            f"creates guest {argument}",
            worker._replace(
                guests=guests | {(argument, False)},
                pending=worker.pending - {argument},
            ),
        )
    elif kind == "destroy":
        yield f"ends guest {argument}", worker._replace(guests=_without(guests, argument))
    elif kind in ("resume", "pause"):
        turned = _without(guests, argument) | {(argument, kind == "resume")}
        yield f"{kind}s guest {argument}", worker._replace(guests=turned)
    else:
        kept = frozenset(line for line in journal if line.instance != argument.instance)
        written = f"writes down that {argument.instance} is {'gone' if argument.gone else argument.state}"
        yield written, worker._replace(journal=kept | {argument})


def _without(guests: frozenset[tuple[int, bool]], instance: int) -> frozenset[tuple[int, bool]]:
    return frozenset(guest for guest in guests if guest[0] != instance)


# --- the worker's own code, on the model's values -----------------------------------------------------------


def taken(rules: Rules, worker: Worker, found: Stored | None, *, whole: bool = False) -> Worker:
    """The worker after a stored record has arrived, or (`whole`) after all was read and this was found."""
    if not rules.judge_by_revision:
        return _taken_by_sequence(worker, found)
    held, erased = _merged(worker.held, worker.erased, worker.journal, found, whole)
    if whole and found is None and not rules.only_gone_removes and held is not None:
        assert held.record is not None
        held = Stored(held.sequence, held.record._replace(power="gone"))
    after = worker._replace(held=held, erased=erased)
    if not rules.gone_is_remembered and held is None:
        after = after._replace(journal=frozenset(line for line in worker.journal if not line.gone))
    return after


def _taken_by_sequence(worker: Worker, found: Stored | None) -> Worker:
    """What arrives last is believed, whatever its revision."""
    if found is None or found == worker.held:
        return worker
    return worker._replace(held=found if found.record is not None else None)


@cache
def _merged(
    held: Stored | None, erased: int, journal: frozenset[Outcome], found: Stored | None, whole: bool
) -> tuple[Stored | None, int]:
    desired = DesiredState("h", "i")
    if held is not None and held.record is not None:
        desired._put(_SUBJECT, Held(held.sequence, _launch(held.record)))
    if erased:
        desired._erased[_SUBJECT] = erased
    gone = {str(line.instance) for line in journal if line.gone}

    def done(record: Any) -> bool:
        return is_tombstone(record) and record.instance in gone  # reconciler.py: obeyed

    before = desired.sequences()
    if found is not None and found.record is not None:
        desired.merge(_SUBJECT, found.sequence, _launch(found.record))
    elif found is not None:
        desired.erase(_SUBJECT, found.sequence, done)
    if whole:
        desired.prune([_SUBJECT] if found is not None and found.record is not None else [], before, done)
    now = desired._held.get(_SUBJECT)
    return (
        None if now is None else Stored(now.sequence, _record(now.record)),
        desired._erased.get(_SUBJECT, 0),
    )


def _next(rules: Rules, record: Record | None, worker: Worker) -> tuple[Any, ...]:
    return _decided(record, worker.guests, worker.journal, rules)


@cache
def _decided(
    record: Record | None,
    guests: frozenset[tuple[int, bool]],
    journal: frozenset[Outcome],
    rules: Rules,
) -> tuple[Any, ...]:
    """The first action that the worker's `diff` asks for, as (kind, argument); nothing if all is as it should be."""
    names = {instance: str(instance) for instance, _ in guests}
    if not rules.adopt_by_instance and guests and record is not None:
        names = {
            min(guests)[0]: str(record.instance)
        }  # whoever bears the name is taken for the one that is wanted
    found = {
        names[instance]: _guest(names[instance], runs=runs) for instance, runs in guests if instance in names
    }
    outcomes = {str(line.instance): _outcome(line) for line in journal}
    if not rules.judge_by_revision and record is not None:
        # only whether something ended just now is known, not what was carried out before
        outcomes = {
            name: msgspec.structs.replace(line, revision=min(line.revision, record.revision))
            for name, line in outcomes.items()
            if record.power in ("off", "gone") or name in found
        }
    if not rules.later_instance_stays and record is not None:
        outcomes = {name: line for name, line in outcomes.items() if name == str(record.instance)}
    if not rules.late_guests_end and record is None:
        return ()
    work = diff([_launch(record)] if record is not None else [], found, outcomes)
    if not work:
        return ()
    real = {name: instance for instance, name in names.items()}
    # what has been ended already is ended again for nothing: the next action is what matters
    effective = [
        action
        for action in work[0].actions
        if not isinstance(action, actions.Destroy) or action.instance in found
    ]
    match effective[0]:
        case actions.Create():
            assert record is not None, "what is created has a record"
            return "create", record.instance
        case actions.Destroy(instance=instance):
            return "destroy", real[instance]
        case actions.Resume(instance=instance):
            return "resume", real[instance]
        case actions.Pause(instance=instance):
            return "pause", real[instance]
        case actions.Settle(outcome=line):
            return (
                "settle",
                Outcome(int(line.instance), line.revision, line.state, line.created, line.resumed, line.gone),
            )


@cache
def status(worker: Worker) -> Status | None:
    """What the worker says of the VM that its record names; nothing before it has read everything."""
    if worker.held is None or worker.held.record is None or worker.mode not in ("acting", "held back"):
        return None
    record = worker.held.record
    runs = next((runs for instance, runs in worker.guests if instance == record.instance), None)
    guest = None if runs is None else _guest(str(record.instance), runs=runs)
    line = next((_outcome(line) for line in worker.journal if line.instance == record.instance), None)
    said = vm_status(_launch(record), guest, line)
    return Status(int(said.instance), said.revision, said.state, said.gone)


def _launch(record: Record) -> LaunchRecord:
    return LaunchRecord(
        namespace="n",
        name="a",
        id=0,
        instance=str(record.instance),
        revision=record.revision,
        power=record.power,
        host="h",
        incarnation="i",
        uuid="",
        config=VMConfig(),
    )


def _record(record: Any) -> Record:
    return Record(int(record.instance), record.revision, record.power)


def _guest(instance: str, *, runs: bool) -> Guest:
    state: Any = "running" if runs else "paused"
    return Guest(namespace="n", name="a", instance=instance, revision=0, state=state, pid=1)


def _outcome(line: Outcome) -> actions.Outcome:
    return actions.Outcome(
        namespace="n",
        name="a",
        instance=str(line.instance),
        revision=line.revision,
        state=line.state,
        created=line.created,
        resumed=line.resumed,
        gone=line.gone,
    )


def _text(stored: Stored) -> str:
    if stored.record is None:
        return f"deletion #{stored.sequence}"
    instance, revision, power = stored.record
    return f"record #{stored.sequence} (instance {instance}, revision {revision}, {power})"
