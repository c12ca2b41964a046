"""What the leader makes of numbered reports: a gap is not forgotten, and what comes late does not count."""

import asyncio
import random
from typing import Any

from shoal import codec, subjects
from shoal.bus.memory_bus import MemoryBus, MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.messages.desired import Report, State, VMStatus
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.store import Store


class Rig:
    """An inventory that knows one host's session, and a bus on which nobody answers."""

    def __init__(self) -> None:
        server = MemoryServer()
        self.bus: MemoryBus = server.connect("leader")
        self.tasks: list[asyncio.Task[Any]] = []
        store = Store(MemoryState(self.bus, MemoryStreams(server)), random.Random(1))
        self.inventory = HostInventory(self.bus, store, self._spawn)
        self.seen = self.inventory.hosts["h"]
        self.seen.session, self.seen.reports = "s", 1

    def _spawn(self, work: Any, name: str) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def hear(self, number: int, state: State) -> None:
        """A report arrives, and what it causes comes to an end."""
        status = VMStatus(namespace="n", name="a", instance="i", revision=1, state=state)
        report = Report(host="h", session="s", number=number, vms=(status,))
        await self.bus.publish(subjects.report("h"), codec.encode(report))
        await self.bus.settle()
        await asyncio.gather(*self.tasks)

    def known(self) -> tuple[str, int]:
        """What is known of the VM, and up to which report."""
        return self.seen.instances["i"].state, self.seen.reports


async def listening() -> Rig:
    rig = Rig()
    await rig.inventory.subscribe()
    await rig.bus.settle()
    return rig


async def test_gap_is_remembered_while_no_inventory_comes() -> None:
    """After a lost report the number stays behind until an inventory was had: heartbeats then ask for one again."""
    rig = await listening()
    await rig.hear(3, "BUILDING")
    await rig.hear(4, "RUNNING")
    assert rig.known() == ("RUNNING", 1)
    assert not rig.seen.asking, "nobody answered"


async def test_report_that_comes_twice_or_late_changes_nothing() -> None:
    """What an older report tells does not come back over a newer one's."""
    rig = await listening()
    await rig.hear(2, "RUNNING")
    await rig.hear(3, "ERROR")
    await rig.hear(2, "RUNNING")
    assert rig.known() == ("ERROR", 3)
