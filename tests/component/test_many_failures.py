"""A command that fails for 15,000 VMs, and goes well for some, is answered: over the bus, and once more when it is repeated."""

import json

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.messages.vms import ClearTags, FlushVMs, KillVMs, StartVMs, StopVMs, TagVMs
from shoal.testing import cluster

MANY = "machine[1-15000]"
REST = "… and 14000 more: machine[1001-15000]"


async def test_what_went_well_is_not_hidden_by_what_did_not() -> None:
    """Of each command: `machine1` is done; the others are failures, a thousand in all, the last of which names the rest."""
    async with cluster("mm1") as running, shoal.connect(running.url) as client:
        red = client.namespace("red")
        await red.create()
        await red.launch("machine1")
        for request in (
            StartVMs(target=MANY),
            StopVMs(target=MANY),
            KillVMs(target=MANY),
            TagVMs(target=MANY, key="colour", value="blue"),
            ClearTags(target=MANY),
            FlushVMs(target=MANY),
        ):
            reply = await red.call(request)
            assert getattr(reply, "vms", "machine1") == "machine1"
            assert len(reply.failures) == 1000
            assert [failure.names for failure in reply.failures[:2]] == [("machine2",), ("machine3",)]
            assert (reply.failures[-1].kind, reply.failures[-1].message) == ("NotFound", REST)
        await red.launch("machine1")
        once = KillVMs(target=MANY, id="once")
        first, again = await red.call(once), await red.call(once)
        assert first == again
        assert (first.vms, first.failures[-1].message) == ("machine1", REST)
        async with await connect(running.url, name="test") as bus:
            answer = await bus.request(
                subjects.command("ns", "vm", "kill", "red"), MANY.encode(), timeout_s=60
            )
        assert json.loads(answer.body)["failures"][-1]["message"] == "… and 14001 more: machine[1,1001-15000]"
