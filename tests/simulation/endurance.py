"""A life of a large cluster: many hosts, many VMs, a long time, one in a hundred messages lost, and crashes.

Refuses to know how a life is run.
"""

from __future__ import annotations

from tests.simulation.cluster import Size
from tests.simulation.faults import Plan
from tests.simulation.scenario import Setting
from tests.simulation.weather import Climate

_PER_HOST = 50
_TENANTS = 10
#: seconds between two faults
_FAULT_S = 30.0
#: seconds between two requests of a tenant, and how many VMs one is about at most (the first is about all of them)
_PACE_S = 5.0
_AT_ONCE = 100
#: a lost packet is sent again after so long (RFC 6298), and all that follows on its connection waits: a leader's connection
#: has thousands of messages a second, one in a hundred of them late
_LATE_S = (0.02, 0.25)
#: a look at 50,000 VMs takes seconds
_LOOK_S = 5.0


def large_setting(hosts: int, vms: int, hours: float) -> Setting:
    """Tenants share the VMs; each launches, starts, stops and kills its own, the whole time."""
    vms = vms or hosts * _PER_HOST
    return Setting(
        size=Size(hosts=hosts, orchestrators=2, sees_death=False),
        plan=Plan(
            every_s=_FAULT_S,
            kinds=("kill-worker", "kill-orchestrator", "cut-worker", "pause-worker", "restart-server"),
            climate=Climate(lost=0.01, late=0.01, late_s=_LATE_S),
        ),
        tenants=_TENANTS,
        vms=max(1, vms // _TENANTS),
        active_s=hours * 3600,
        operator=False,
        filling=True,
        pace_s=_PACE_S,
        at_once=_AT_ONCE,
        look_s=_LOOK_S,
    )
