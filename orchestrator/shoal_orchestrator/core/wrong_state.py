"""What to tell of a VM that a command cannot do anything with: the peer's words first, then how it is and what to do.

This module refuses to know hosts and how states are observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from shoal.core.ranges import expand
from shoal.errors import Conflict
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord, State
from shoal_orchestrator.core.records import QueueEntry

#: of more failures than that in one answer, the others come without details: it has to fit into a message
DETAILED = 40
#: the peer's words
STATE_ERROR = "VM state error: {vm}"
_AGAIN = "`vm start {vm}` launches it again, `vm flush {vm}` forgets it"
_ADVICE: Mapping[State, str] = {
    "BUILDING": "`vm start {vm}` lets it run, `vm kill {vm}` ends it",
    "RUNNING": "`vm stop {vm}` pauses it, `vm kill {vm}` ends it",
    "PAUSED": "`vm start {vm}` lets it go on, `vm kill {vm}` ends it",
    "QUIT": _AGAIN,
    "ERROR": _AGAIN,
    "LOST": "`vm kill {vm}` ends it, a silent host's as soon as that is heard of",
}


def state_error(record: LaunchRecord, message: str, state: State | None = None) -> Failure:
    """That a VM is not in the state that a command needs; `{vm}` in the message is its name.

    With its `state` the details say how it is, and which commands it takes then.
    """
    name = record.name
    details = () if state is None else (f"{name} is in {state}: {_ADVICE[state].format(vm=name)}",)
    return Failure(
        kind=Conflict.kind,
        code=Conflict.code,
        message=message.format(vm=name),
        details=details,
        names=(name,),
    )


def replaced(record: LaunchRecord, current: LaunchRecord | None) -> Failure:
    """That another command has decided about a VM since this one did; `current` is its record now."""
    if current is None or current.power == "gone":
        does = "has removed it meanwhile"
    elif current.instance != record.instance:
        does = "has launched it again meanwhile"
    elif current.power == record.power:
        does = "has changed it meanwhile"
    else:
        does = {"paused": "pauses", "running": "starts", "off": "kills"}[current.power] + " it now"
    return state_error(record, f"{{vm}}: another command {does}")


def with_queued(failures: Iterable[Failure], queue: Iterable[QueueEntry]) -> list[Failure]:
    """Failures about VMs that are not found; those of VMs that only wait in the queue say so."""
    found = list(failures)
    if not found:
        return found
    waiting = {name for entry in queue if entry.names for name in expand(entry.names)}
    return [
        replace(failure, details=(f"{failure.names[0]} is queued: `ns schedule` launches it",))
        if failure.names and failure.names[0] in waiting
        else failure
        for failure in found
    ]


def queue_note(queue: Iterable[QueueEntry]) -> tuple[str, ...]:
    """What to tell someone who means all VMs, while some wait in the queue; nothing while none does."""
    count = sum(entry.count for entry in queue)
    if not count:
        return ()
    are, them = ("VM is", "it") if count == 1 else ("VMs are", "them")
    return (f"{count} {are} queued: `ns schedule` launches {them}",)


def in_brief(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    """Failures as a reply holds them: the first of them with details. An answer tells of so many (`core.failures`)."""
    return (
        *failures[:DETAILED],
        *(replace(failure, details=()) for failure in failures[DETAILED:]),
    )
