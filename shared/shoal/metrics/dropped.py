"""How a connection to NATS tells of messages that it had to drop.

Refuses to know what was in them: whoever depends on a message does not rely on its arrival.
"""

from __future__ import annotations

from shoal.metrics.protocol import Metric

MESSAGES_DROPPED = Metric(
    "shoal_messages_dropped_total",
    "counter",
    "Messages that came faster than they were handled, too many at once: heartbeats, as a rule.",
)
