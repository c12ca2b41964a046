"""The state of the small cluster that is searched: one server, two orchestrators, two hosts, one VM, one client.

Refuses to know what may happen next. Everything is a tuple of small values, so that states can be told apart and
remembered. The VM's name is always the same; what tells its launches apart is the instance, a number here. Host 0
and 1 and orchestrator 0 and 1 are alike; orchestrator 0 leads at the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from shoal.messages.desired import Power, State

HOSTS = (0, 1)
Verb = Literal["launch", "start", "kill", "flush", "move"]
Fault = Literal[
    "crash-orchestrator",
    "crash-worker",
    "pause",
    "early-take-over",
    "late-batch",
    "late-creation",
    "cut",
    "repeat",
    "impatience",
    "rollback",
]


@dataclass(frozen=True)
class Rules:
    """What protects the cluster, each rule to be taken away by a test. All true is how it is meant to be."""

    #: a batch is refused unless the fence has the sequence of the writer's own (bus/streams.py: commit)
    fence: bool = True
    #: a batch is refused unless the lease is as the writer's last batch left it
    chained: bool = True
    #: a guest is adopted by its instance, never by its name (worker core/domain_xml.py, core/ledger.py: see)
    adopt_by_instance: bool = True
    #: a record is judged by (instance, revision) (worker core/desired.py: merge, core/diff.py)
    judge_by_revision: bool = True
    #: only `gone` removes, absence does not (worker core/desired.py: prune)
    only_gone_removes: bool = True
    #: that an instance is gone stays in the journal after its record was deleted (worker reconciler.py: _forget)
    gone_is_remembered: bool = True
    #: a request's mark and outcome are in the batch of its change (leader.py: Call.commit)
    outcome_with_change: bool = True
    #: what a VM's host has not spoken of cannot be flushed or launched again (core/observed.py: view)
    unspoken_is_lost: bool = True
    #: what a leader refuses, it refuses only once a renewal of its lease was stored (store.py: settled)
    refusal_confirmed: bool = True
    #: a plan's launch and the end of what it consumes are one batch (handlers/carrying_out.py: run_plan)
    step_taken_once: bool = True
    #: a VM that moves is launched on its new host only once the old one has said that it has ended
    move_waits: bool = True
    #: a new instance ends the one that lives only by a higher revision (worker core/diff.py: _supersedes)
    later_instance_stays: bool = True
    #: what comes to be after it was told to be gone is ended (worker core/diff.py)
    late_guests_end: bool = True
    #: a leader freezes when a host has heard a higher epoch, or its own with another nonce, or holds a record that is
    #: younger than anything that the leader has found stored; or when its batch is refused under its own fence
    leader_freezes: bool = True


class Record(NamedTuple):
    """The launch record of the VM on one host."""

    instance: int
    revision: int
    power: Power


class Stored(NamedTuple):
    """What the stream has under the VM's subject of one host: an empty record is a deletion."""

    sequence: int
    record: Record | None


class Plan(NamedTuple):
    """What was decided for a request: the host. `published` once its launch is out; then `completed`."""

    request: int
    host: int
    state: Literal["running", "published", "completed"]


#: what is stored of each request: nothing, that it was begun, or its outcome; `later`: once the host is back
Mark = Literal["", "begun", "ok", "later"]
Launches = tuple[Stored | None, Stored | None]


class Known(NamedTuple):
    """The records: as they are stored, or as a leader holds them."""

    launches: Launches
    plan: Plan | None
    marks: tuple[Mark, ...]


class Fence(NamedTuple):
    """Who leads. `nonce` is another for each take-over."""

    sequence: int
    epoch: int
    nonce: int


class Batch(NamedTuple):
    """What a leader writes at once: records by host, the plan, marks by request. `lease` is the one it replaces."""

    fence: int
    lease: int
    launches: tuple[tuple[int, Record | None], ...] = ()
    plan: Plan | None = None
    marks: tuple[tuple[int, Mark], ...] = ()


class Server(NamedTuple):
    """The state stream. `sent` is all that was ever republished to each host: any of it may arrive at any time."""

    sequence: int
    fence: Fence
    lease: int
    known: Known
    sent: tuple[frozenset[Stored], frozenset[Stored]]


class Status(NamedTuple):
    """What a worker says of the VM."""

    instance: int
    revision: int
    state: State
    gone: bool


Mode = Literal["down", "standby", "leading", "paused", "frozen"]
Heard = Literal["unknown", "alive", "lost"]


class Orchestrator(NamedTuple):
    """One orchestrator. `handled` are requests that it has begun itself and waits for; `batch` is under way."""

    mode: Mode
    fence: Fence
    lease: int
    known: Known
    batch: Batch | None = None
    handled: frozenset[int] = frozenset()
    heard: tuple[Heard, Heard] = ("unknown", "unknown")
    said: tuple[Status | None, Status | None] = (None, None)


class Outcome(NamedTuple):
    """A line of a worker's journal."""

    instance: int
    revision: int
    state: State
    created: bool
    resumed: bool
    gone: bool


class Worker(NamedTuple):
    """One host. Guests (instance, whether it runs), the journal and `pending` creations outlive the worker."""

    mode: Literal["down", "up", "acting", "held back"]
    guests: frozenset[tuple[int, bool]] = frozenset()
    journal: frozenset[Outcome] = frozenset()
    heard: tuple[int, int] = (0, 0)
    pending: frozenset[int] = frozenset()
    held: Stored | None = None
    erased: int = 0
    cut: bool = False


#: a request's answer: none yet, done, done as far as it can be, refused
Answer = Literal["", "ok", "later", "refused"]


class World(NamedTuple):
    """Everything. `late` are batches that were tried again and may still land; `ended` are instances whose end was
    told to the client; `rolled` are the guests that ran when the store went backwards.
    """

    server: Server
    orchestrators: tuple[Orchestrator, Orchestrator]
    workers: tuple[Worker, Worker]
    faults: int
    asked: int
    answers: tuple[Answer, ...]
    instances: int = 0
    nonces: int = 1
    late: frozenset[Batch] = frozenset()
    ended: frozenset[int] = frozenset()
    copy: Server | None = None
    rolled: frozenset[int] | None = None


@dataclass(frozen=True)
class Scenario:
    """What the client asks for, one after the other, and which faults may strike, `budget` of them in one run.

    The last `afterwards` of the requests are made only once the store has gone backwards.
    """

    script: tuple[Verb, ...]
    faults: frozenset[Fault]
    budget: int
    rules: Rules = Rules()
    afterwards: int = 0

    def allows(self, world: World, fault: Fault) -> bool:
        """Whether this fault may strike now."""
        return world.faults > 0 and fault in self.faults


Step = tuple[str, World]


def put(pair: tuple[Any, Any], index: int, value: Any) -> tuple[Any, Any]:
    """The pair with another value at the index."""
    return (value, pair[1]) if index == 0 else (pair[0], value)


def nothing_known(scenario: Scenario) -> Known:
    """No records, as at the start, and as an orchestrator has them that does not lead."""
    unmarked: Mark = ""
    return Known((None, None), None, (unmarked,) * len(scenario.script))


def beginning(scenario: Scenario) -> World:
    """Orchestrator 0 leads, both workers are up, nothing is stored but the fence."""
    known = nothing_known(scenario)
    fence = Fence(1, 1, 1)
    none_yet: Answer = ""
    standby = Orchestrator("standby", Fence(0, 0, 0), 0, known)
    return World(
        server=Server(1, fence, 1, known, (frozenset(), frozenset())),
        orchestrators=(standby._replace(mode="leading", fence=fence, lease=1), standby),
        workers=(Worker("up"), Worker("up")),
        faults=scenario.budget,
        asked=1,
        answers=(none_yet,) * len(scenario.script),
    )
