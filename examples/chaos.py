"""Hurts VMs that run and brings them back: `python chaos.py NAMESPACE SEED [ROUNDS]`.

The same seed on the same VMs does the same: whom it hurts, how, and when.
"""

import asyncio
import random
import sys
from collections.abc import Sequence

import shoal

PAUSE_S = 0.05


async def strike(vm: shoal.VMHandle, how: str) -> None:
    """Hurt a VM. That it is hurt already, by somebody else, is none of our business."""
    try:
        await (vm.kill() if how == "kill" else vm.stop())
    except shoal.Refused as error:
        print(f"{vm.name} was not running: {error}", file=sys.stderr)


async def heal(vm: shoal.VMHandle) -> None:
    """Let a VM run again, whatever state it is in."""
    try:
        await vm.start()
    except shoal.Refused as error:  # it may run already
        print(f"{vm.name} was not started: {error}", file=sys.stderr)
    await vm.wait("RUNNING", timeout_s=120)


async def main(arguments: Sequence[str]) -> None:
    """Hurt and heal, round after round."""
    name, seed, *more = arguments
    chance = random.Random(int(seed))
    async with shoal.connect(name="chaos", patience_s=60) as client:
        ns = client.namespace(name)
        names = sorted([vm.name async for vm in ns.vms() if vm.state == "RUNNING"])
        for number in range(1, int(more[0] if more else "10") + 1):
            vm, how = ns.vm(chance.choice(names)), chance.choice(("kill", "pause"))
            print(f"{number}: {how} {vm.name}", flush=True)
            await strike(vm, how)
            await asyncio.sleep(chance.uniform(0, PAUSE_S))
            await heal(vm)
        print(f"all of {len(names)} VMs run", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
