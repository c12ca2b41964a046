"""The only place where a subject is spelled or parsed.

This module refuses to know what travels under a subject. Names come in validated (`shoal.core.names`); a name
may hold dots, which a token may not, so a dot is written `=2E` (names hold no `=`).
"""

from __future__ import annotations

import base64
from typing import NamedTuple

STATE_STREAM = "SHOAL_STATE"
EVENT_STREAM = "SHOAL_EVENTS"
#: the object store (NATS ADR-20) that has the content of files, its stream, and what the stream stores
FILE_BUCKET = "shoal"
FILE_STREAM = f"OBJ_{FILE_BUCKET}"
ALL_CHUNKS = f"$O.{FILE_BUCKET}.C.>"
ALL_OBJECTS = f"$O.{FILE_BUCKET}.M.>"

CONSOLE = "shoal.console"
FENCE = "shoal.fence"
LEASE = "shoal.lease"
#: everything that `SHOAL_STATE` stores
STATE_SUBJECTS = ("shoal.launch.>", "shoal.tap.>", "shoal.tunnel.>", "shoal.state.>", FENCE, LEASE)
#: everything that the leader loads when it starts
RECORD_FILTERS = ("shoal.state.>", "shoal.launch.>", "shoal.tap.>", "shoal.tunnel.>")
EVENT_SUBJECTS = ("shoal.event.>",)
#: the stream's republish rule: what was stored appears again under `shoal.stored.`
REPUBLISH_FROM = "shoal.>"
REPUBLISH_TO = "shoal.stored.>"

ALL_HEARTBEATS = "shoal.heartbeat.*"
ALL_REPORTS = "shoal.report.*"
CLAIM = "shoal.cluster.host.claim"
ALL_TUNNELS = "shoal.tunnel.>"

CLUSTER = "shoal.state.cluster"
#: every inbox of ours, and of the `nats` tool, begins so
INBOXES = "_INBOX."
#: what is answered to: inboxes, also with a prefix of the user's own (`_INBOX_alice.`), and the server's names for
#: those of another account
_ANSWERED = ("_INBOX", "_R_.")


def is_inbox(reply: str) -> bool:
    """Whether an answer to this reply subject reaches an inbox, and can be nobody's command, record or event."""
    return reply.startswith(_ANSWERED)


def token(name: str) -> str:
    """A name as one token of a subject."""
    return name.replace(".", "=2E")


def untoken(text: str) -> str:
    """The name that `token` made this from."""
    return text.replace("=2E", ".")


def command(scope: str, noun: str, verb: str, namespace: str) -> str:
    """Where a command is sent: `shoal.ns.<ns>.<noun>.<verb>` or `shoal.cluster.<noun>.<verb>`."""
    if scope == "cluster":
        return f"shoal.cluster.{noun}.{verb}"
    return f"shoal.ns.{token(namespace)}.{noun}.{verb}"


def command_pattern(scope: str, noun: str, verb: str) -> str:
    """What the leader subscribes to for a command, whatever the namespace."""
    return f"shoal.cluster.{noun}.{verb}" if scope == "cluster" else f"shoal.ns.*.{noun}.{verb}"


def command_namespace(subject: str) -> str:
    """The namespace in a command's subject; empty for a command of the cluster."""
    parts = subject.split(".")
    return untoken(parts[2]) if len(parts) > 2 and parts[1] == "ns" else ""


def heartbeat(host: str) -> str:
    """Where a worker's heartbeats go."""
    return f"shoal.heartbeat.{token(host)}"


def acknowledgements(session: str) -> str:
    """Where a worker's session gets the acknowledgements of its heartbeats: an inbox, so random as `session`."""
    return f"{INBOXES}{session}"


def report(host: str) -> str:
    """Where a worker's reports go."""
    return f"shoal.report.{token(host)}"


def host_request(host: str, verb: str) -> str:
    """A question to one worker, such as `inventory`."""
    return f"shoal.host.{token(host)}.{verb}"


def host_requests(host: str) -> str:
    """All questions to one worker."""
    return f"shoal.host.{token(host)}.*"


def asked(subject: str) -> str:
    """What is asked under a subject of `host_request`."""
    return subject.rpartition(".")[2]


def launch(host: str, namespace: str, vm: str) -> str:
    """The launch command of one VM, which is its desired state."""
    return f"shoal.launch.{token(host)}.{token(namespace)}.{token(vm)}"


def tap(host: str, namespace: str, name: str) -> str:
    """The desired state of a host tap."""
    return f"shoal.tap.{token(host)}.{token(namespace)}.{token(name)}"


def tunnel(vni: int) -> str:
    """The segment of one VNI."""
    return f"shoal.tunnel.{vni}"


def host_filters(host: str) -> tuple[str, ...]:
    """What a worker reads of the state stream, besides the tunnels that it has ports in."""
    return (f"shoal.launch.{token(host)}.>", f"shoal.tap.{token(host)}.>")


def stored(subject: str) -> str:
    """Where the stream republishes what it stored under `subject` (or under a filter)."""
    return "shoal.stored." + subject.removeprefix("shoal.")


def unstored(subject: str) -> str:
    """The subject under which a republished message was stored."""
    return "shoal." + subject.removeprefix("shoal.stored.")


def namespace_record(namespace: str) -> str:
    """The record of a namespace."""
    return f"shoal.state.namespace.{token(namespace)}"


def config_record(namespace: str, name: str) -> str:
    """A saved configuration."""
    return f"shoal.state.config.{token(namespace)}.{token(name)}"


def queue_record(namespace: str, entry: int) -> str:
    """An entry of a namespace's queue."""
    return f"shoal.state.queue.{token(namespace)}.{entry}"


def plan_record(namespace: str, plan: str, chunk: int = 0) -> str:
    """A plan, or one of its chunks."""
    return f"shoal.state.plan.{token(namespace)}.{plan}.{chunk}"


def host_record(host: str) -> str:
    """What the cluster knows of a host for good: incarnation, role, address."""
    return f"shoal.state.host.{token(host)}"


def file_record(name: str) -> str:
    """The record of a file of the cluster: which content its name stands for."""
    return f"shoal.state.file.{token(name)}"


def chunks(upload: str) -> str:
    """The parts of an object's content (NATS ADR-20); `upload` is the random id of its sending."""
    return f"$O.{FILE_BUCKET}.C.{upload}"


def uploaded(subject: str) -> str:
    """The id of the sending whose parts are under a subject."""
    return subject.rpartition(".")[2]


def stored_object(name: str) -> str:
    """The description of an object (NATS ADR-20: the name in URL-safe base 64)."""
    return f"$O.{FILE_BUCKET}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def request_record(slot: int) -> str:
    """The outcome of a request, in one of a fixed number of slots."""
    return f"shoal.state.request.{slot}"


def event(namespace: str, noun: str, what: str, name: str) -> str:
    """An event's subject; events of the cluster itself have the namespace `-`."""
    return f"shoal.event.{token(namespace or '-')}.{noun}.{what}.{token(name)}"


def events(namespace: str = "") -> str:
    """The filter of a namespace's events, or of all."""
    return f"shoal.event.{token(namespace)}.>" if namespace else "shoal.event.>"


class EventSubject(NamedTuple):
    """An event's subject, taken apart; the namespace of an event of the cluster is empty."""

    namespace: str
    noun: str
    what: str
    name: str


def parse_event(subject: str) -> EventSubject | None:
    """Take an event's subject apart; None for one that has another form."""
    parts = subject.split(".")
    if len(parts) != 6:
        return None
    namespace, noun, what, name = parts[2:]
    return EventSubject("" if namespace == "-" else untoken(namespace), noun, what, untoken(name))


def vm_events(namespace: str, name: str = "*") -> str:
    """The filter of the events of one VM, or of all VMs of a namespace."""
    return f"shoal.event.{token(namespace)}.vm.*.{token(name)}"


def matches(subject: str, subjects_filter: str) -> bool:
    """Whether a subject is under a filter with `*` (any token) and, at its end, `>` (one token or more)."""
    parts, wanted = subject.split("."), subjects_filter.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(parts) <= len(wanted):
            return False
    elif len(parts) != len(wanted):
        return False
    return all(want in ("*", part) for part, want in zip(parts, wanted, strict=False))


class RecordSubject(NamedTuple):
    """A subject of the state stream, taken apart: `kind` and the names in it."""

    kind: str
    names: tuple[str, ...]


def parse_record(subject: str) -> RecordSubject:
    """Take a subject of the state stream apart: `launch`, `tap`, `tunnel`, `fence`, `lease` or a kind of record.

    The kind of an unknown subject is its second token; nothing raises, since newer versions add kinds.
    """
    _, kind, *rest = subject.split(".")
    if kind == "state" and rest:
        kind, *rest = rest
    return RecordSubject(kind, tuple(untoken(part) for part in rest))
