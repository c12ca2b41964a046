"""What an orchestrator counts and measures: the catalogue of its metrics.

Refuses to know who counts, and how it is read. No label has the name of a VM, a namespace or a host as its value.
"""

from __future__ import annotations

from collections.abc import Mapping

from shoal.bus.protocol import Conflicted, Fenced
from shoal.errors import TimedOut
from shoal.metrics.dropped import MESSAGES_DROPPED
from shoal.metrics.loop_watch import LOOP_METRICS
from shoal.metrics.protocol import Metric

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

LEADING = Metric("shoal_leading", "gauge", "1 on the orchestrator that leads, 0 on one that stands by.")
EPOCH = Metric(
    "shoal_epoch", "gauge", "Terms of leadership so far, by this orchestrator's own; 0 while it stands by."
)
HOSTS = Metric("shoal_hosts", "gauge", "Hosts of the cluster, by how they are.", ("state",))
VMS = Metric("shoal_vms", "gauge", "VMs of all namespaces, by what a user reads of them.", ("state",))
QUEUED = Metric("shoal_queued_vms", "gauge", "VMs that are queued and in no running plan.")
NAMESPACES = Metric("shoal_namespaces", "gauge", "Namespaces.")
SCHEDULES = Metric("shoal_schedules_running", "gauge", "Plans that are being carried out.")
RECORDS = Metric("shoal_records", "gauge", "Records that the leader holds.")
WAITING_WRITES = Metric("shoal_writes_waiting", "gauge", "Sets of records that wait for their batch.")
WAITING_EVENTS = Metric("shoal_events_waiting", "gauge", "Events that wait to be published.")
RUNNING_REQUESTS = Metric("shoal_requests_running", "gauge", "Requests that are being carried out.")

REQUESTS = Metric(
    "shoal_requests_total",
    "counter",
    "Requests that were answered; the outcome is `ok`, `partly`, or the kind of error.",
    ("noun", "verb", "outcome"),
)
REQUEST_SECONDS = Metric(
    "shoal_request_seconds",
    "histogram",
    "How long requests took, from the bus to their answer.",
    ("noun", "verb"),
    _SECONDS,
)
BATCH_SECONDS = Metric(
    "shoal_batch_seconds", "histogram", "How long batches took to be stored.", buckets=_SECONDS
)
BATCH_RECORDS = Metric(
    "shoal_batch_records",
    "histogram",
    "How many records batches had, the lease's aside.",
    buckets=(0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 900),
)
REFUSED_WRITES = Metric(
    "shoal_writes_refused_total",
    "counter",
    "Batches without a clear yes: `fenced`, `conflicted`, `timed-out` or `unavailable`.",
    ("why",),
)
#: the errors of a batch, as `why` has them
WHY_REFUSED: Mapping[type[Exception], str] = {
    Fenced: "fenced",
    Conflicted: "conflicted",
    TimedOut: "timed-out",
}
EVENTS = Metric("shoal_events_total", "counter", "Events that were published.")
DROPPED_EVENTS = Metric(
    "shoal_events_dropped_total", "counter", "Events that were dropped: too many were waiting."
)
HEARTBEATS = Metric(
    "shoal_heartbeats_total",
    "counter",
    "Heartbeats that were heard; `claimed` is whether the claim stands.",
    ("claimed",),
)
REPORTS = Metric("shoal_reports_total", "counter", "Reports of workers that were taken in.")
INVENTORIES = Metric(
    "shoal_inventories_total",
    "counter",
    "Hosts that were asked for everything: after a gap in their reports, or by a new leader.",
    ("outcome",),
)

CATALOGUE: tuple[Metric, ...] = (
    *(LEADING, EPOCH, HOSTS, VMS, QUEUED, NAMESPACES, SCHEDULES, RECORDS),
    *(REQUESTS, REQUEST_SECONDS, RUNNING_REQUESTS),
    *(BATCH_SECONDS, BATCH_RECORDS, REFUSED_WRITES, WAITING_WRITES),
    *(EVENTS, WAITING_EVENTS, DROPPED_EVENTS),
    *(HEARTBEATS, REPORTS, INVENTORIES),
    *LOOP_METRICS,
    MESSAGES_DROPPED,
)
