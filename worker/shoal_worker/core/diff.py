"""Compares the VMs that are wanted on a host with the guests that are there, and says what to do.

This module refuses to know how guests are made, links, time and the bus. The rules, each with a test:

- a record is carried out once for each (instance, revision): what failed, or ended by itself, is not repeated;
- nor is a guest resumed that QEMU paused: what it could not write it could not write again;
- a revision below the one that was carried out has no effect;
- a guest that ended unseen is told of first, and only a later revision starts it again;
- a new instance under the same name first ends the old one, unless that one lives at the same or a later revision:
  whoever launches again raises the revision, so such a record comes from a store that went backwards;
- a guest that no record names is left alone, unless it was to be gone and only came to be after that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping

import msgspec

from shoal.messages.desired import LaunchRecord, State
from shoal_worker.core.actions import Action, Create, Destroy, Outcome, Pause, Resume, Settle, VMKey, Work
from shoal_worker.hypervisor import Guest, GuestNic, GuestSpec

_ALIVE = ("paused", "running")
_VANISHED = "the guest is gone: its QEMU ended, or was ended by somebody, while nobody watched"
_BACKWARDS = (
    "instance {later} of this VM lives here at revision {revision} or a later one, and is left alone: "
    "the store has gone backwards, and has to be repaired first"
)
_ENDED = "the guest ended: QEMU stopped without a reason"


def diff(
    records: Iterable[LaunchRecord],
    guests: Mapping[str, Guest],
    outcomes: Mapping[str, Outcome],
    *,
    waiting: Mapping[VMKey, str] | None = None,
    broken: Mapping[VMKey, str] | None = None,
    busy: Container[VMKey] = (),
) -> tuple[Work, ...]:
    """What to do so that the guests (by instance) become what the records ask for; nothing if they are.

    `outcomes` are those of earlier work, by instance. A VM in `waiting` is not created yet; one in `broken`
    cannot be created, for that reason. About one in `busy` nothing is said: something is being done about it.
    """
    waiting, broken = waiting or {}, broken or {}
    named: defaultdict[VMKey, list[str]] = defaultdict(list)
    for each in guests.values():
        named[each.namespace, each.name].append(each.instance)
    work = []
    wanted = set()
    for record in records:
        key = (record.namespace, record.name)
        wanted.add(key)
        instance = record.instance
        if key in busy:
            continue
        others = [other for other in sorted(named.get(key, ())) if other != instance]
        guest, outcome = guests.get(instance), outcomes.get(instance)
        later = next((o for o in others if _supersedes(guests[o], outcomes.get(o), record)), "")
        actions = (
            _refuse(record, outcome, later)
            if later
            else [
                *map(Destroy, others),
                *_actions(record, guest, outcome, waits=key in waiting, broken=broken.get(key, "")),
            ]
        )
        if actions:
            made = outcome is not None and outcome.created
            failed = _outcome(record, outcome, "ERROR", created=made or alive(guest))
            work.append(Work(instance, tuple(actions), failed))
    # Its creation had timed out: it was told to be gone before it was there, and that was obeyed too early.
    late: defaultdict[VMKey, list[Outcome]] = defaultdict(list)
    for outcome in map(outcomes.get, guests):
        if outcome is not None and outcome.gone and outcome.key not in wanted:
            late[outcome.key].append(outcome)
    # several instances of one VM are one work, as everywhere: a VM is worked on by one task at a time
    work += [
        Work(each[0].instance, tuple(Destroy(one.instance) for one in each), each[0])
        for each in late.values()
    ]
    return tuple(work)


def alive(guest: Guest | None) -> bool:
    """Whether there is a guest with a QEMU of its own."""
    return guest is not None and guest.state in _ALIVE


def _supersedes(guest: Guest, outcome: Outcome | None, record: LaunchRecord) -> bool:
    """Whether another instance of the record's VM lives, by a record that must have come after this one."""
    if not alive(guest) or (outcome is not None and outcome.ended):
        return False
    return (guest.revision if outcome is None else outcome.revision) >= record.revision


def _refuse(record: LaunchRecord, outcome: Outcome | None, later: str) -> list[Action]:
    """Leave everything as it is, and say why."""
    if outcome is not None and (outcome.revision >= record.revision or outcome.gone):
        return []
    reason = _BACKWARDS.format(revision=record.revision, later=later)
    return [Settle(_outcome(record, outcome, "ERROR", reason, created=False))]


def _actions(
    record: LaunchRecord, guest: Guest | None, outcome: Outcome | None, *, waits: bool, broken: str
) -> list[Action]:
    if outcome is not None and (outcome.revision > record.revision or (outcome.gone and guest is None)):
        return []
    if record.power in ("off", "gone"):
        return _end(record, guest, outcome)
    if guest is not None and alive(guest):
        steps = _steer(record, guest, outcome)
        # Plugged in elsewhere and nothing else: that is not done before its new segment is there.
        return [] if waits and all(isinstance(step, Settle) for step in steps) else steps
    settled = outcome is not None and outcome.revision == record.revision
    if outcome is not None and not outcome.ended:
        return [Settle(_ended(record, guest, outcome))]
    if outcome is None and guest is not None:
        return [Settle(_ended(record, guest, outcome))]
    if settled or waits:
        return []
    if broken:
        return [Settle(_outcome(record, outcome, "ERROR", broken, created=False))]
    leftovers = [Destroy(record.instance)] if guest is not None else []
    return [*leftovers, *_create(record)]


def _create(record: LaunchRecord) -> list[Action]:
    if record.power == "running":
        done = _outcome(record, None, "RUNNING", created=True, resumed=True)
        return [Create(spec_of(record)), Resume(record.instance), Settle(done)]
    return [Create(spec_of(record)), Settle(_outcome(record, None, "BUILDING", created=True))]


def _steer(record: LaunchRecord, guest: Guest, outcome: Outcome | None) -> list[Action]:
    """Resume or pause a living guest, or only take note of how it is."""
    resumed = (outcome is not None and outcome.resumed) or "running" in (guest.state, record.power)
    state: State = "RUNNING" if record.power == "running" else "PAUSED" if resumed else "BUILDING"
    done = _outcome(record, outcome, state, created=True, resumed=resumed)
    actions: list[Action] = [] if done == outcome else [Settle(done)]
    if guest.state == record.power:
        return actions
    if (
        outcome is not None
        and outcome.revision == record.revision
        and (outcome.state == "ERROR" or guest.reason)
    ):
        return []
    step = Resume(guest.instance) if record.power == "running" else Pause(guest.instance)
    return [step, *actions]


def _end(record: LaunchRecord, guest: Guest | None, outcome: Outcome | None) -> list[Action]:
    gone = record.power == "gone"
    created = outcome is not None and outcome.created
    done = _outcome(record, outcome, "QUIT", created=created, gone=gone)
    if done == outcome:
        # A dead guest of a VM that is off may stay until it is forgotten: nothing of it runs.
        return [Destroy(record.instance)] if alive(guest) or (gone and guest is not None) else []
    destroy = [Destroy(record.instance)] if guest is not None or created else []
    return [*destroy, Settle(done)]


def _ended(record: LaunchRecord, guest: Guest | None, outcome: Outcome | None) -> Outcome:
    """The outcome of a guest that ended by itself, or by somebody else's hand."""
    if guest is None:
        return _outcome(record, outcome, "ERROR", _VANISHED, created=True)
    if guest.state == "failed":
        return _outcome(record, outcome, "ERROR", guest.reason or _ENDED, created=True)
    return _outcome(record, outcome, "QUIT", guest.reason, created=True)


def _outcome(
    record: LaunchRecord,
    before: Outcome | None,
    state: State,
    reason: str = "",
    *,
    created: bool,
    resumed: bool | None = None,
    gone: bool = False,
) -> Outcome:
    if resumed is None:
        resumed = before is not None and before.resumed
    return Outcome(
        namespace=record.namespace,
        name=record.name,
        instance=record.instance,
        revision=record.revision,
        state=state,
        reason=reason,
        created=created,
        resumed=resumed,
        gone=gone,
    )


def spec_of(record: LaunchRecord) -> GuestSpec:
    """What the hypervisor needs to know of a VM."""
    return GuestSpec(
        namespace=record.namespace,
        name=record.name,
        instance=record.instance,
        revision=record.revision,
        uuid=record.uuid,
        config=record.config,
        nics=tuple(GuestNic(tap=port.tap, mac=port.mac, driver=port.driver) for port in record.ports),
    )


def failed(work: Work, reason: str, *, created: bool) -> Outcome:
    """The outcome of work that the hypervisor refused for good at this revision."""
    return msgspec.structs.replace(work.failed, reason=reason, created=created or work.failed.created)
