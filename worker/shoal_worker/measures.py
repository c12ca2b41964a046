"""What a worker counts and measures: the catalogue of its metrics.

Refuses to know who counts, and how it is read. The worker of many simulated hosts adds them up.
"""

from __future__ import annotations

from shoal.metrics.dropped import MESSAGES_DROPPED
from shoal.metrics.loop_watch import LOOP_METRICS
from shoal.metrics.protocol import Metric

_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

HOSTS = Metric("shoal_worker_hosts", "gauge", "Hosts that this process is the worker of.")
CLAIMED = Metric(
    "shoal_worker_claimed", "gauge", "Those of them whose claim stands: only there something is done."
)
DEGRADED = Metric(
    "shoal_worker_degraded",
    "gauge",
    "Those of them where the hypervisor or the journal does not do its work.",
)
RECORDS = Metric("shoal_worker_records", "gauge", "Records that are held: launches, taps and segments.")
VMS = Metric("shoal_worker_vms", "gauge", "VMs of these hosts, by what was last said of them.", ("state",))
WORKING = Metric("shoal_worker_vms_working", "gauge", "VMs that something is being done about.")
DELAYED = Metric("shoal_worker_vms_delayed", "gauge", "VMs that are tried again later.")
SEGMENTS = Metric("shoal_worker_segments", "gauge", "Segments that are there.")
TAPS = Metric(
    "shoal_worker_taps", "gauge", "Taps that are there: of guests and of the hosts themselves.", ("kind",)
)
CAPTURES = Metric("shoal_worker_captures", "gauge", "Captures that are running, or wait to be collected.")

ROUND_SECONDS = Metric(
    "shoal_worker_round_seconds", "histogram", "How long rounds of the reconciler took.", buckets=_SECONDS
)
FAILED_ROUNDS = Metric("shoal_worker_rounds_failed_total", "counter", "Rounds of the reconciler that failed.")
ACTIONS = Metric(
    "shoal_worker_actions_total",
    "counter",
    "What was done about VMs; the outcome is `ok`, `failed` (for good), `again` (tried later) or `replaced`.",
    ("action", "outcome"),
)
ACTION_SECONDS = Metric(
    "shoal_worker_action_seconds",
    "histogram",
    "How long the hypervisor took for it, waiting for a free place included.",
    ("action",),
    _SECONDS,
)
OVERDUE = Metric(
    "shoal_worker_hypervisor_timeouts_total",
    "counter",
    "Calls that the hypervisor did not answer, or not in time; `survey` is the look at all guests.",
    ("call",),
)
HEARTBEATS = Metric("shoal_worker_heartbeats_total", "counter", "Heartbeats that were sent.")
UNACKNOWLEDGED = Metric(
    "shoal_worker_heartbeats_unacknowledged", "gauge", "Heartbeats since the leader last acknowledged one."
)
REPORTS = Metric(
    "shoal_worker_reports_total", "counter", "Reports; the outcome is `sent` or `lost`.", ("outcome",)
)

CATALOGUE: tuple[Metric, ...] = (
    *(HOSTS, CLAIMED, DEGRADED, RECORDS),
    *(VMS, WORKING, DELAYED, SEGMENTS, TAPS, CAPTURES),
    *(ROUND_SECONDS, FAILED_ROUNDS, ACTIONS, ACTION_SECONDS, OVERDUE),
    *(HEARTBEATS, UNACKNOWLEDGED, REPORTS),
    *LOOP_METRICS,
    MESSAGES_DROPPED,
)
