"""What a leader makes of requests, plans and tombstones: the handlers, one decision at a time.

Refuses to know the store's conditions. The rules are those of handlers/vms.py, handlers/carrying_out.py and
background.py; how a VM looks to its users is decided by core/observed.py itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from tests.model.state import (
    HOSTS,
    Answer,
    Batch,
    Heard,
    Mark,
    Orchestrator,
    Plan,
    Record,
    Rules,
    Scenario,
    Status,
    Step,
    Verb,
    World,
    put,
)

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, State, VMStatus
from shoal_orchestrator.core.observed import view

#: among the requests that a leader has begun: it has launched its plan's VM, and does not do so again
_LAUNCHED = 99
_WANTED: dict[Verb, State] = {"start": "RUNNING", "kill": "QUIT"}


def steps(scenario: Scenario, world: World, number: int) -> Iterator[Step]:
    """What a leader without a batch under way may do next."""
    me = world.orchestrators[number]
    for host in HOSTS:
        yield from _bury(world, number, host)
    if "unknown" in me.heard:
        return  # a new leader asks the hosts before it acts (DESIGN 3)
    yield from _plan(scenario, world, number)
    for request in range(world.asked):
        answered = world.answers[request] != ""
        if answered and not (scenario.allows(world, "repeat") and me.known.marks[request] == ""):
            continue
        for name, after in _request(scenario, world, number, request):
            if answered:
                yield f"{name} (sent long ago)", after._replace(faults=world.faults - 1)
            else:
                yield name, after
    following = scenario.script[world.asked : world.asked + 1]
    if following == ("kill",) and live(me) and scenario.allows(world, "impatience"):
        hurried = world._replace(asked=world.asked + 1, faults=world.faults - 1)
        yield f"is asked to {scenario.script[world.asked]} before it has answered", hurried


def live(me: Orchestrator) -> tuple[int, Record] | None:
    """The VM, as the leader has it: host and record."""
    for host in HOSTS:
        found = me.known.launches[host]
        if found is not None and found.record is not None and found.record.power != "gone":
            return host, found.record
    return None


@cache
def _state(record: Record, status: Status | None, heard: Heard, *, unspoken_is_lost: bool) -> State:
    wanted = LaunchRecord(
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
    said = None
    if status is not None:
        instance, revision, state, gone = status
        said = VMStatus(
            namespace="n", name="a", instance=str(instance), revision=revision, state=state, gone=gone
        )
    unspoken = said is None or said.instance != wanted.instance
    if not unspoken_is_lost and record.power == "off" and unspoken:
        return "QUIT"
    return view(wanted, said, heard).state


def _seen(rules: Rules, me: Orchestrator, host: int, record: Record) -> State:
    return _state(record, me.said[host], me.heard[host], unspoken_is_lost=rules.unspoken_is_lost)


def _carried_out(me: Orchestrator, host: int, record: Record) -> bool:
    """core/observed.py: carried_out."""
    said = me.said[host]
    return said is not None and said.instance == record.instance and said.revision >= record.revision


def _writing(world: World, number: int, batch: Batch, *, handled: int = -1, instances: int = 0) -> World:
    me = world.orchestrators[number]
    batch = batch._replace(fence=me.fence.sequence, lease=me.lease)
    requests = me.handled | {handled} if handled >= 0 else me.handled
    after = me._replace(batch=batch, handled=requests)
    return world._replace(
        orchestrators=put(world.orchestrators, number, after), instances=world.instances + instances
    )


def _batch(
    *launches: tuple[int, Record | None], plan: Plan | None = None, marks: tuple[tuple[int, Mark], ...] = ()
) -> Batch:
    return Batch(0, 0, launches, plan, marks)


def _begun(scenario: Scenario, request: int, mark: Mark = "begun") -> tuple[tuple[int, Mark], ...]:
    """leader.py: Call.commit writes the mark into the batch of the change."""
    return ((request, mark),) if scenario.rules.outcome_with_change else ()


# --- what is done without being asked -------------------------------------------------------------------------


def _bury(world: World, number: int, host: int) -> Iterator[Step]:
    """background.py: _bury_vm."""
    me = world.orchestrators[number]
    stored, said = me.known.launches[host], me.said[host]
    if stored is None or stored.record is None or stored.record.power != "gone" or said is None:
        return
    if said.gone and said.instance == stored.record.instance:
        yield f"deletes the record of host {host}", _writing(world, number, _batch((host, None)))


def _plan(scenario: Scenario, world: World, number: int) -> Iterator[Step]:
    """carrying_out.py: run_plan, also a predecessor's (resume_plan)."""
    me = world.orchestrators[number]
    plan = me.known.plan
    if plan is None or plan.state == "completed":
        return
    found, new = live(me), world.instances + 1
    published = plan._replace(state="published")
    if plan.state == "published":
        if found is None or _carried_out(me, *found) or me.heard[found[0]] == "lost":
            done = _batch(plan=plan._replace(state="completed"), marks=((plan.request, "ok"),))
            yield "closes its plan", _writing(world, number, done)
    elif scenario.script[plan.request] == "move":
        if found is not None and _seen(scenario.rules, me, *found) == "QUIT":
            host, record = found
            gone = record._replace(revision=record.revision + 1, power="gone")
            moved = Record(new, record.revision + 1, "running")
            batch = _batch((host, gone), (plan.host, moved), plan=published)
            yield f"launches on host {plan.host}", _writing(world, number, batch, instances=1)
    elif found is not None or _LAUNCHED in me.handled:
        yield "ends what its plan consumes", _writing(world, number, _batch(plan=published))
    else:
        once = scenario.rules.step_taken_once
        batch = _batch((plan.host, Record(new, 1, "paused")), plan=published if once else None)
        after = _writing(world, number, batch, handled=-1 if once else _LAUNCHED, instances=1)
        yield f"launches on host {plan.host}", after


# --- requests -------------------------------------------------------------------------------------------------


def _request(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    me = world.orchestrators[number]
    mark, verb = me.known.marks[request], scenario.script[request]
    if mark in ("ok", "later"):
        yield f"answers {verb}: {mark}", _answered(scenario, world, request, mark)
    elif request in me.handled:
        found = live(me)
        if verb in ("start", "kill") and found is not None:
            if _carried_out(me, *found):
                outcome: Mark = "ok" if _seen(scenario.rules, me, *found) == _WANTED[verb] else "later"
                after = _writing(world, number, _batch(marks=((request, outcome),)))
                if outcome == "ok" and verb == "kill":
                    after = after._replace(ended=world.ended | {found[1].instance})
                yield f"has {verb} done: {outcome}", after
            elif me.heard[found[0]] == "lost":
                after = _writing(world, number, _batch(marks=((request, "later"),)))
                yield f"leaves {verb} to a lost host", after
        elif verb in ("start", "kill"):
            yield (
                f"sees that {verb} was overtaken",
                _writing(world, number, _batch(marks=((request, "later"),))),
            )
        elif verb == "flush":
            yield "notes that flush is done", _writing(world, number, _batch(marks=((request, "ok"),)))
    else:
        handler = {"launch": _launch, "start": _start, "kill": _kill, "flush": _flush, "move": _move}[verb]
        yield from handler(scenario, world, number, request)


def _answered(scenario: Scenario, world: World, request: int, answer: Answer) -> World:
    answers = (*world.answers[:request], answer, *world.answers[request + 1 :])
    told = len(scenario.script) - (scenario.afterwards if world.rolled is None else 0)
    asked = max(world.asked, min(request + 2, told))
    return world._replace(answers=answers, asked=asked)


def _refused(scenario: Scenario, world: World, number: int, request: int, why: str) -> Iterator[Step]:
    verb = scenario.script[request]
    me = world.orchestrators[number]
    if scenario.rules.refusal_confirmed and world.server.fence != me.fence:
        nothing = _batch()
        yield f"renews its lease before it refuses {verb}", _writing(world, number, nothing)
        return
    if me.known.marks[request] == "begun":
        # it was carried out, and something else since
        yield f"sees that {verb} was overtaken", _answered(scenario, world, request, "later")
        return
    yield f"refuses {verb}: {why}", _answered(scenario, world, request, "refused")


def _launch(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    me = world.orchestrators[number]
    if me.known.marks[request] == "begun":
        return  # await_plan: its plan is finished, and closes the request
    plan = me.known.plan
    if live(me) is not None or (plan is not None and plan.state == "running"):
        yield from _refused(scenario, world, number, request, "it exists already")
        return
    for host in HOSTS:
        if me.heard[host] == "alive":
            batch = _batch(plan=Plan(request, host, "running"), marks=_begun(scenario, request))
            yield f"plans the VM on host {host}", _writing(world, number, batch)
            if world.instances == 0:
                return  # the hosts are alike as long as nothing has been anywhere


def _start(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    """starting.py: start_vms, relaunched."""
    me, found = world.orchestrators[number], live(world.orchestrators[number])
    if found is None:
        yield from _refused(scenario, world, number, request, "there is no such VM")
        return
    host, record = found
    state = _seen(scenario.rules, me, host, record)
    marks = _begun(scenario, request)
    later = record._replace(revision=record.revision + 1, power="running")
    if state in ("BUILDING", "PAUSED") and record.power != "off":
        yield "starts the VM", _writing(world, number, _batch((host, later), marks=marks), handled=request)
    elif state not in ("RUNNING", "LOST") and me.heard[host] == "alive":
        again = later._replace(instance=world.instances + 1)
        batch = _batch((host, again), marks=marks)
        yield "launches the VM again", _writing(world, number, batch, handled=request, instances=1)
    elif state == "RUNNING" and me.known.marks[request] == "begun":
        yield "finds the VM started", _writing(world, number, _batch(marks=((request, "ok"),)))
    elif state == "RUNNING":
        yield from _refused(scenario, world, number, request, "it runs already")


def _kill(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    """vms.py: kill_vms."""
    me, found = world.orchestrators[number], live(world.orchestrators[number])
    if found is None:
        yield from _refused(scenario, world, number, request, "there is no such VM")
        return
    host, record = found
    state = _seen(scenario.rules, me, host, record)
    if state == "QUIT" and me.known.marks[request] == "begun":
        after = _writing(world, number, _batch(marks=((request, "ok"),)))
        yield "finds the VM killed", after._replace(ended=world.ended | {record.instance})
    elif state in ("QUIT", "ERROR"):
        yield from _refused(scenario, world, number, request, "it has ended already")
    else:
        off = record._replace(revision=record.revision + 1, power="off")
        batch = _batch((host, off), marks=_begun(scenario, request))
        yield "kills the VM", _writing(world, number, batch, handled=request)


def _flush(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    """vms.py: flush_vms."""
    me, found = world.orchestrators[number], live(world.orchestrators[number])
    if found is None:
        yield from _refused(scenario, world, number, request, "there is no such VM")
        return
    host, record = found
    if _seen(scenario.rules, me, host, record) in ("QUIT", "ERROR"):
        gone = record._replace(revision=record.revision + 1, power="gone")
        batch = _batch((host, gone), marks=_begun(scenario, request, "ok"))
        yield "flushes the VM", _writing(world, number, batch, handled=request)


def _move(scenario: Scenario, world: World, number: int, request: int) -> Iterator[Step]:
    """DESIGN 3, Identity: a VM that moves. No command does it yet."""
    me, found = world.orchestrators[number], live(world.orchestrators[number])
    if found is None or me.known.marks[request] == "begun" or me.heard[1 - found[0]] != "alive":
        return
    host, record = found
    if _seen(scenario.rules, me, host, record) != "RUNNING":
        return
    marks = _begun(scenario, request)
    plan = Plan(request, 1 - host, "running")
    if scenario.rules.move_waits:
        off = record._replace(revision=record.revision + 1, power="off")
        yield (
            "ends the VM, to move it",
            _writing(world, number, _batch((host, off), plan=plan, marks=marks), handled=request),
        )
        return
    gone = record._replace(revision=record.revision + 1, power="gone")
    moved = Record(world.instances + 1, record.revision + 1, "running")
    batch = _batch((host, gone), (1 - host, moved), plan=plan._replace(state="published"), marks=marks)
    yield "moves the VM", _writing(world, number, batch, handled=request, instances=1)
