"""The errors of Shoal, one class for each thing that a caller can act on.

This module refuses to know how an error travels: see `shoal.messages.base.Failure` for its form on the bus.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ShoalError(Exception):
    """Root of every error that Shoal raises on purpose.

    `message` is one line that says which operation on which object failed, what was expected and what to do.
    `details` are further lines (one reason for each VM and host, say) that a person may want to read. `names` are
    the objects that it is about, for a program: the VMs whose names are taken, say.
    """

    code: ClassVar[int] = 500
    kind: ClassVar[str] = "Internal"
    #: exit code of the command line (DESIGN.md section 7)
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, details: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.names = names

    def __str__(self) -> str:
        return self.message


class InvalidRequest(ShoalError):
    """The request itself is wrong; sending it again will not help."""

    code = 400
    kind = "InvalidRequest"


class UsageError(InvalidRequest):
    """A line of the command language that is no command."""

    kind = "UsageError"
    exit_code = 2


class Refused(ShoalError):
    """The request is well formed, but the state of the cluster does not allow it."""

    code = 409
    kind = "Refused"


class NotFound(Refused):
    """A namespace, host, VM, alias, … that the request names does not exist."""

    code = 404
    kind = "NotFound"
    exit_code = 5


class NamespaceGone(NotFound):
    """A namespace was removed while something of it was iterated over: `namespace`, and the `position` of events."""

    kind = "NamespaceGone"

    def __init__(self, message: str, *, namespace: str = "", position: int = 0, **more: Any) -> None:
        super().__init__(message, **more)
        self.namespace = namespace
        self.position = position


class EventsGone(NotFound):
    """Events that were asked for are not in the stream any more, or the stream is another than it was.

    `asked` is the sequence that was to be next, `first` and `last` are those that the stream has now. Look at how things
    are, and go on with `since=0`: the oldest event that there is.
    """

    kind = "EventsGone"

    def __init__(self, message: str, *, asked: int = 0, first: int = 0, last: int = 0, **more: Any) -> None:
        super().__init__(message, **more)
        self.asked = asked
        self.first = first
        self.last = last


class Conflict(Refused):
    """Something with this name, number or identity exists already, or is in a state that forbids the operation."""

    kind = "Conflict"


class Unplaceable(Refused):
    """No assignment of the queued VMs to the namespace's hosts was found; `details` say why."""

    kind = "Unplaceable"


class PlanChanged(Refused):
    """A stored plan does not fit the cluster any more; `details` show the difference."""

    kind = "PlanChanged"
    exit_code = 6


class PermissionDenied(Refused):
    """The server or the cluster does not let this user do that."""

    code = 403
    kind = "PermissionDenied"
    exit_code = 4


class Damaged(Refused):
    """Stored content is not what it was when it was stored: its digest does not fit, or parts are missing."""

    kind = "Damaged"


class OtherVersion(ShoalError):
    """The orchestrator is of another version, and does not know this command, or answers in another form."""

    code = 501
    kind = "OtherVersion"


class Unavailable(ShoalError):
    """No server, no leader, no quorum: trying later may help."""

    code = 503
    kind = "Unavailable"
    exit_code = 5


class StoreUnavailable(Unavailable):
    """JetStream did not store what it was given: disk full, quorum lost, stream missing."""

    kind = "StoreUnavailable"
    exit_code = 1


class TimedOut(ShoalError):
    """No answer within the deadline. The command may have been carried out, or may still be."""

    code = 504
    kind = "TimedOut"
    exit_code = 124


_KINDS: dict[str, type[ShoalError]] = {
    cls.kind: cls
    for cls in (
        ShoalError,
        InvalidRequest,
        UsageError,
        Refused,
        NotFound,
        NamespaceGone,
        EventsGone,
        Conflict,
        Unplaceable,
        PlanChanged,
        PermissionDenied,
        Damaged,
        OtherVersion,
        Unavailable,
        StoreUnavailable,
        TimedOut,
    )
}


def error_class(kind: str) -> type[ShoalError]:
    """The class of an error that came over the bus; an unknown kind (a newer peer) is a plain ShoalError."""
    return _KINDS.get(kind, ShoalError)
