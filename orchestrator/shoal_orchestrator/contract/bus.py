"""Everything that travels on the bus: which class, under which subject, from whom to whom.

Refuses to know documents. Requests of commands and events are listed in the catalogues; the rest is listed here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from shoal import subjects
from shoal.messages import (
    capture_requests,
    desired,
    health_requests,
    host_requests,
    image_requests,
    repair_requests,
)
from shoal.messages.host_requests import HostRequest
from shoal_orchestrator.core import records
from shoal_orchestrator.core.leases import FenceRecord, LeaseRecord

#: where questions to one worker are defined
HOST_REQUEST_MODULES: tuple[ModuleType, ...] = (
    host_requests,
    capture_requests,
    image_requests,
    health_requests,
    repair_requests,
)


class Flow(NamedTuple):
    """One kind of message. `action` is the orchestrator's: it sends or receives. `subject` has `{names}` in it."""

    name: str
    action: str
    subject: str
    message: type[msgspec.Struct]
    reply: type[msgspec.Struct] | None
    encoding: str
    summary: str


def between_programs() -> Iterator[Flow]:
    """What workers and the orchestrator send each other, apart from stored state."""
    msgpack = "application/msgpack"
    host = "{host}"
    yield Flow(
        "heartbeat",
        "receive",
        subjects.heartbeat(host),
        desired.Heartbeat,
        desired.HeartbeatAck,
        msgpack,
        "Once a second from each worker; the answer says what it should hold.",
    )
    yield Flow(
        "report",
        "receive",
        subjects.report(host),
        desired.Report,
        None,
        msgpack,
        "What changed on a host, gathered for 50 ms, numbered.",
    )
    yield Flow(
        "claim",
        "receive",
        subjects.CLAIM,
        desired.Claim,
        desired.Claimed,
        msgpack,
        "May this worker be the worker of its host?",
    )
    yield Flow(
        "host.inventory",
        "send",
        subjects.host_request(host, "inventory"),
        desired.InventoryRequest,
        desired.Inventory,
        msgpack,
        "Everything on a host, in pages.",
    )
    for request in host_request_classes():
        yield Flow(
            f"host.{request.verb}",
            "send",
            subjects.host_request(host, request.verb),
            request,
            request.answer,
            msgpack,
            first_line(request),
        )


def host_request_classes() -> list[type[HostRequest[Any]]]:
    """Every question to one worker, by verb."""
    found = [
        kind
        for module in HOST_REQUEST_MODULES
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, HostRequest) and kind.__module__ == module.__name__
    ]
    return sorted((kind for kind in found if kind is not HostRequest), key=lambda kind: kind.verb)


def stored() -> Iterator[Flow]:
    """What the orchestrator stores in the state stream. The server repeats it under `shoal.stored.`."""
    names = ("{namespace}", "{name}")
    for name, subject, kind in (
        ("launch", subjects.launch("{host}", *names), desired.LaunchRecord),
        ("tap", subjects.tap("{host}", *names), desired.TapRecord),
        ("tunnel", "shoal.tunnel.{vni}", desired.SegmentRecord),
    ):
        yield Flow(name, "send", subject, kind, None, "application/msgpack", first_line(kind))
    numbered = subjects.plan_record("{namespace}", "{plan}").removesuffix("0")
    for name, subject, record in (
        ("state.cluster", subjects.CLUSTER, records.ClusterRecord),
        ("state.namespace", subjects.namespace_record("{namespace}"), records.NamespaceRecord),
        ("state.config", subjects.config_record(*names), records.SavedConfig),
        (
            "state.queue",
            subjects.queue_record("{namespace}", 0).removesuffix("0") + "{entry}",
            records.QueueEntry,
        ),
        ("state.plan", f"{numbered}0", records.PlanRecord),
        ("state.chunk", numbered + "{chunk}", records.PlanChunk),
        ("state.file", subjects.file_record("{name}"), records.FileRecord),
        ("state.host", subjects.host_record("{host}"), records.HostRecord),
        ("state.request", subjects.request_record(0).removesuffix("0") + "{slot}", records.RequestRecord),
        ("fence", subjects.FENCE, FenceRecord),
        ("lease", subjects.LEASE, LeaseRecord),
    ):
        yield Flow(name, "send", subject, record, None, "application/json", first_line(record))


def first_line(kind: type) -> str:
    """The first sentence or line of a class's docstring."""
    return (inspect.getdoc(kind) or "").partition("\n")[0].strip()
