"""What an orchestrator does, and what may befall it: takes over, writes, hears of hosts, is paused, crashes.

Refuses to know what a request means (`steps_requests`). The store's rules are those of bus/streams.py and
orchestrator store.py; what is heard of hosts follows inventory.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.model import steps_requests
from tests.model.state import (
    HOSTS,
    Batch,
    Fault,
    Fence,
    Known,
    Orchestrator,
    Scenario,
    Server,
    Status,
    Step,
    Stored,
    Worker,
    World,
    nothing_known,
    put,
)
from tests.model.steps_worker import status, taken

#: with these something may come between a decision and its batch; a crash in between is like one before the decision
SEPARATING: frozenset[Fault] = frozenset({"pause", "early-take-over", "late-batch", "rollback"})


def steps(scenario: Scenario, world: World) -> Iterator[Step]:
    """Everything that may happen to the orchestrators and the server next."""
    for number in HOSTS:
        for name, after in _steps(scenario, world, number):
            yield f"orchestrator {number} {name}", after
        for name, after in _faults(scenario, world, number):
            yield f"orchestrator {number} {name}", after._replace(faults=world.faults - 1)
    for batch in world.late:
        if all(each.batch != batch for each in world.orchestrators):
            landed = world._replace(late=world.late - {batch})
            if accepted(scenario, world.server, batch):
                landed = landed._replace(server=stored(world.server, batch))
            yield f"the server takes a late batch: {_text(batch)}", landed
    yield from _server(scenario, world)


def _server(scenario: Scenario, world: World) -> Iterator[Step]:
    if "rollback" not in scenario.faults or world.rolled is not None:
        return
    idle = all(orchestrator.batch is None for orchestrator in world.orchestrators)
    if world.copy is None and world.server.known.plan is not None and idle:
        yield "somebody copies the store", world._replace(copy=world.server)
    elif scenario.allows(world, "rollback") and world.copy not in (None, world.server):
        assert world.copy is not None
        told = len(scenario.script) - scenario.afterwards
        if set(world.answers[:told]) != {"ok"}:
            return
        running = frozenset(i for worker in world.workers for i, runs in worker.guests if runs)
        # what was sent was sent, and another term than the copied one may have begun since
        old = world.copy._replace(sent=world.server.sent)
        back = world._replace(server=old, rolled=running, faults=world.faults - 1, asked=len(scenario.script))
        yield "the store is replaced by the copy", back


def _changed(world: World, number: int, after: Orchestrator) -> World:
    return world._replace(orchestrators=put(world.orchestrators, number, after))


def _steps(scenario: Scenario, world: World, number: int) -> Iterator[Step]:
    me, other = world.orchestrators[number], world.orchestrators[1 - number]
    if me.mode == "down":
        yield "starts again", _changed(world, number, _blank(scenario))
    elif me.mode == "paused":
        yield "goes on", _changed(world, number, me._replace(mode="leading"))
    elif me.mode == "standby" and other.mode not in ("leading", "frozen"):
        # one that is frozen goes on renewing its lease: a term after its own would hide what it has seen
        yield "takes the fence, and loads", _took_over(scenario, world, number)
    elif me.mode == "frozen" and world.server.fence != me.fence:
        yield "sees that another leads", _changed(world, number, _blank(scenario))
    elif me.mode == "leading":
        yield from _heard(scenario, world, number)
        if me.batch is not None:
            yield _committed(scenario, world, number, me.batch)
        else:
            for name, after in steps_requests.steps(scenario, world, number):
                batch = after.orchestrators[number].batch
                if batch is None or not scenario.faults.isdisjoint(SEPARATING):
                    yield name, after
                else:
                    how, done = _committed(scenario, after, number, batch)
                    yield f"{name}, and {how}", done
        if world.rolled is not None and me.lease != world.server.lease:
            yield "loses the store, and ends its term", _changed(world, number, _blank(scenario))


def _faults(scenario: Scenario, world: World, number: int) -> Iterator[Step]:
    me, other = world.orchestrators[number], world.orchestrators[1 - number]
    if me.mode == "leading":
        if scenario.allows(world, "crash-orchestrator"):
            yield "is killed", _changed(world, number, _blank(scenario)._replace(mode="down"))
        if scenario.allows(world, "pause"):
            yield "is paused", _changed(world, number, me._replace(mode="paused"))
        if scenario.allows(world, "late-batch") and me.batch is not None and not world.late:
            tried = world._replace(late=world.late | {me.batch})
            yield f"hears nothing of a batch, and tries it again: {_text(me.batch)}", tried
    if me.mode == "standby" and other.mode == "leading" and scenario.allows(world, "early-take-over"):
        yield "believes that nobody leads, takes the fence, and loads", _took_over(scenario, world, number)


def _blank(scenario: Scenario) -> Orchestrator:
    return Orchestrator("standby", Fence(0, 0, 0), 0, nothing_known(scenario))


def _took_over(scenario: Scenario, world: World, number: int) -> World:
    """store.py: take_over. With chained batches it writes the lease as well, which ends the chain of its predecessor."""
    server = world.server
    sequence = server.sequence + 1
    fence = Fence(sequence, server.fence.epoch + 1, world.nonces + 1)
    lease = sequence if scenario.rules.chained else server.lease
    after = server._replace(sequence=sequence, fence=fence, lease=lease)
    leading = Orchestrator("leading", fence, lease, server.known)
    return _changed(world._replace(server=after, nonces=world.nonces + 1), number, leading)


# --- the store ------------------------------------------------------------------------------------------------


def accepted(scenario: Scenario, server: Server, batch: Batch) -> bool:
    """Whether the server takes a batch: its conditions, all or nothing."""
    rules = scenario.rules
    if rules.fence and server.fence.sequence != batch.fence:
        return False
    return not rules.chained or server.lease == batch.lease


def stored(server: Server, batch: Batch) -> Server:
    """The server after a batch: one sequence stands for all of its messages."""
    sequence = server.sequence + 1
    sent = server.sent
    for host, record in batch.launches:
        sent = put(sent, host, sent[host] | {Stored(sequence, record)})
    return Server(sequence, server.fence, sequence, applied(server.known, batch, sequence), sent)


def applied(known: Known, batch: Batch, sequence: int) -> Known:
    """The records after a batch: a deletion is purged at once."""
    launches = known.launches
    for host, record in batch.launches:
        launches = put(launches, host, None if record is None else Stored(sequence, record))
    marks = list(known.marks)
    for request, mark in batch.marks:
        marks[request] = mark
    return Known(launches, batch.plan or known.plan, tuple(marks))


def _committed(scenario: Scenario, world: World, number: int, batch: Batch) -> Step:
    """store.py: _commit and _check. What is refused was tried, read back and compared."""
    me = world.orchestrators[number]
    if accepted(scenario, world.server, batch):
        server = stored(world.server, batch)
        known = applied(me.known, batch, server.sequence)
        after = me._replace(batch=None, lease=server.lease, known=known)
        return f"stores: {_text(batch)}", _changed(world._replace(server=server), number, after)
    if world.server.fence != me.fence or not scenario.rules.leader_freezes:
        return f"is refused, and steps down: {_text(batch)}", _changed(world, number, _blank(scenario))
    frozen = me._replace(mode="frozen", batch=None)
    return f"is refused under its own fence, and freezes: {_text(batch)}", _changed(world, number, frozen)


# --- the hosts ------------------------------------------------------------------------------------------------


def _heard(scenario: Scenario, world: World, number: int) -> Iterator[Step]:
    """inventory.py: claims, heartbeats and reports; heart.py: what the worker makes of the answers."""
    me = world.orchestrators[number]
    for host in HOSTS:
        worker = world.workers[host]
        if host == 1 and me.heard[0] == "unknown":
            return  # one after the other: nothing is done before both were heard of
        if worker.mode == "down" or worker.cut:
            if me.heard[host] != "lost":
                lost = me._replace(heard=put(me.heard, host, "lost"))
                yield f"declares host {host} lost", _changed(world, number, lost)
            continue
        if worker.mode in ("up", "held back") or me.heard[host] != "alive":
            yield from _beat(scenario, world, number, host)
        elif me.said[host] != status(worker):
            said = me._replace(said=put(me.said, host, status(worker)))
            yield f"hears from host {host}: {_said(said.said[host])}", _changed(world, number, said)


def _beat(scenario: Scenario, world: World, number: int, host: int) -> Iterator[Step]:
    me, worker, rules = world.orchestrators[number], world.workers[host], scenario.rules
    ours = (me.fence.epoch, me.fence.nonce)
    above = worker.heard[0] > ours[0]
    other = worker.heard[0] == ours[0] and worker.heard[1] not in (0, ours[1])
    if rules.leader_freezes and (above or other or _younger(me, worker)):
        frozen = _changed(world, number, me._replace(mode="frozen", batch=None))
        yield f"hears from host {host} of what its store does not have, and freezes", frozen
        return
    if above:
        if worker.mode != "held back":
            held_back = put(world.workers, host, worker._replace(mode="held back"))
            yield f"is too old for host {host}, which holds back", world._replace(workers=held_back)
        return
    claims = worker.mode != "acting"
    said = put(me.said, host, None) if claims else me.said
    worker = worker._replace(mode="acting", heard=ours)
    if claims:
        # heart.py, state_reader.py: it acts once its host is claimed, and everything was read
        worker = taken(rules, worker, world.server.known.launches[host], whole=True)
    workers = put(world.workers, host, worker)
    alive = me._replace(heard=put(me.heard, host, "alive"), said=said)
    yield f"hears host {host}", _changed(world._replace(workers=workers), number, alive)


def _younger(me: Orchestrator, worker: Worker) -> bool:
    """Whether a host holds a record that nobody can have stored, as far as this leader knows."""
    if worker.held is None or me.batch is not None:
        return False
    return worker.held.sequence > me.lease or worker.held.sequence == me.fence.sequence


def _said(said: Status | None) -> str:
    if said is None:
        return "nothing of the VM"
    instance, revision, state, gone = said
    return f"instance {instance} is {'gone' if gone else state}, revision {revision}"


def _text(batch: Batch) -> str:
    parts = []
    for host, record in batch.launches:
        if record is None:
            parts.append(f"host {host}: deleted")
        else:
            instance, revision, power = record
            parts.append(f"host {host}: instance {instance}, revision {revision}, {power}")
    if batch.plan is not None:
        parts.append(f"plan for host {batch.plan.host} {batch.plan.state}")
    parts += [f"request {request} {mark}" for request, mark in batch.marks]
    return "; ".join(parts) or "nothing"
