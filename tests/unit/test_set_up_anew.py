"""A host that is set up anew is told what is to go from it: nobody waits for its predecessor."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from tests.unit.leader_rig import CAPACITY, term
from tests.unit.repair_cases import TAP, VM

from shoal.messages.desired import Claim
from shoal_orchestrator.claims import Claims
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord


async def test_what_is_to_go_is_asked_of_the_new_incarnation() -> None:
    """VMs and taps that are leaving are readdressed with the claim; all others, and other hosts', are left."""
    gone = replace(VM, power="gone", revision=4)
    stays = replace(VM, name="b", instance="i2")
    elsewhere = replace(VM, name="c", instance="i3", host="mm2", power="gone")
    tap = replace(TAP, host="mm1", incarnation="inc", removed=True, revision=2)
    hosts = (HostRecord(name="mm1", incarnation="inc"), HostRecord(name="mm2", incarnation="inc"))
    async with term(NamespaceRecord(name="red"), *hosts, gone, stays, elsewhere, tap) as one:
        bus: Any = None
        claims = Claims(bus, one.store, one.inventory, one.spawn)
        await claims._grant(Claim(host="mm1", incarnation="new", session="s", version="1", capacity=CAPACITY))
        model = one.leader.model
        leaving = {record.name: (record.incarnation, record.revision) for record in model.leaving.values()}
        assert leaving == {"a": ("new", 5), "c": ("inc", elsewhere.revision)}
        assert model.launches["red"]["b"] == stays
        (now,) = model.taps["red"].values()
        assert (now.incarnation, now.revision, now.removed) == ("new", 3, True)
