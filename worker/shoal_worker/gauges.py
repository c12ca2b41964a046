"""The gauges of one host's worker: what its parts hold now, asked for when somebody looks.

Refuses to know how they are read. Costs no look at each VM.
"""

from __future__ import annotations

from collections.abc import Iterator

from shoal.metrics.protocol import Read, Reading
from shoal_worker import measures
from shoal_worker.captures import Captures
from shoal_worker.core.desired import DesiredState
from shoal_worker.heart import Heart
from shoal_worker.host_links import HostLinks
from shoal_worker.reconciler import Reconciler
from shoal_worker.reporter import Reporter


def readings_of(
    desired: DesiredState,
    heart: Heart,
    reconciler: Reconciler,
    reporter: Reporter,
    links: HostLinks,
    captures: Captures,
) -> Read:
    """What these parts hold."""

    def read() -> Iterator[Reading]:
        there, (working, delayed) = links.there(), reconciler.going_on()
        yield Reading(measures.HOSTS, 1)
        yield Reading(measures.CLAIMED, heart.claimed.is_set())
        yield Reading(measures.DEGRADED, bool(reconciler.degraded))
        yield Reading(measures.UNACKNOWLEDGED, heart.unacknowledged)
        yield Reading(measures.RECORDS, desired.counted()[0])
        for state, count in reporter.vm_states.items():
            yield Reading(measures.VMS, count, (state,))
        yield Reading(measures.WORKING, working)
        yield Reading(measures.DELAYED, delayed)
        yield Reading(measures.SEGMENTS, len(there.segments))
        yield Reading(measures.TAPS, len(there.guest_taps), ("guest",))
        yield Reading(measures.TAPS, len(there.host_taps), ("host",))
        yield Reading(measures.CAPTURES, captures.count)

    return read
