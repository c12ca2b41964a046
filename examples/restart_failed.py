"""Starts what fails again, a little later each time: `python restart_failed.py NAMESPACE [TRIES]`."""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Sequence

import shoal
from shoal.messages.events import VMFailed

FIRST_S, LONGEST_S = 0.2, 60.0


class Nurse:
    """Remembers how often each VM was started again, and which instance of it that was for."""

    def __init__(self, ns: shoal.NamespaceHandle, tries: int) -> None:
        self.ns = ns
        self.tries = tries
        self.starts: Counter[str] = Counter()
        self.treated: dict[str, str] = {}

    async def treat(self, name: str, instance: str) -> None:
        """Start a VM again, unless that was done for this instance (an event may come twice) or too often."""
        if self.treated.get(name) == instance:
            return
        self.treated[name] = instance
        if self.starts[name] == self.tries:
            print(f"gave up on {name}", flush=True)
            return
        await asyncio.sleep(min(LONGEST_S, FIRST_S * 2 ** self.starts[name]))
        self.starts[name] += 1
        vm = self.ns.vm(name)
        with contextlib.suppress(
            shoal.Refused
        ):  # somebody else was faster, or it failed again: an event tells
            if (await vm.row()).state == "ERROR":
                print(f"starting {name} again ({self.starts[name]} of {self.tries})", flush=True)
                await vm.start()


async def main(arguments: Sequence[str]) -> None:
    """Watch a namespace until it is removed."""
    async with shoal.connect(name="restart_failed", patience_s=60) as client:
        ns = client.namespace(arguments[0])
        nurse = Nurse(ns, int(arguments[1]) if len(arguments) > 1 else 5)
        async with ns.events() as events, asyncio.TaskGroup() as group:
            async for vm in ns.vms():  # what failed before we watched
                if vm.state == "ERROR":
                    group.create_task(nurse.treat(vm.name, vm.instance))
            with contextlib.suppress(shoal.NamespaceGone):
                async for event in events:
                    if isinstance(event, VMFailed):
                        group.create_task(nurse.treat(event.name, event.instance))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
