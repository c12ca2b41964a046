"""For tests of programs that use Shoal: a real nats-server, and a cluster whose hosts are simulated.

Refuses to know what is tested.
"""

from __future__ import annotations

from shoal.testing.cluster import Cluster, cluster
from shoal.testing.nats_server import find_nats_server, nats_server

__all__ = ["Cluster", "cluster", "find_nats_server", "nats_server"]
