"""Programs tell a VM that was killed from one that powered itself off."""

from __future__ import annotations

import asyncio

import shoal
from shoal.messages.events import VMQuit
from shoal.testing import cluster


async def test_a_kill_and_a_power_off_are_told_apart() -> None:
    """Both VMs are QUIT; the event and the row say which of them a command wants to be off."""
    async with cluster("mm1") as running, shoal.connect(running.url, patience_s=60) as client:
        red = client.namespace("red")
        await red.create()
        async with red.events() as events:
            await red.launch("killed")
            await red.launch("ended", shoal.VMConfig(append=("simulate.exit_after=0.05",)))
            await red.start()
            await red.kill("killed")
            asked: dict[str, bool | None] = {}
            async with asyncio.timeout(20):
                while len(asked) < 2:
                    event = await anext(events)
                    if isinstance(event, VMQuit):
                        asked[event.name] = event.asked
        assert asked == {"killed": True, "ended": False}
        rows = {vm.name: (vm.state, vm.wanted) async for vm in red.vms()}
        assert rows == {"killed": ("QUIT", "off"), "ended": ("QUIT", "running")}
