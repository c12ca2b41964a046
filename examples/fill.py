"""Fills a namespace to a load, or shrinks it: `python fill.py NAMESPACE LOAD…`, as in `fill.py red 0.5 0.1`.

A load is the part of all CPUs of the namespace's hosts that is promised to VMs. What others run there counts, and is
left alone; the VMs `fill-0`, `fill-1`, … make up the rest. Running it twice, or again after it was killed, is harmless.
"""

import asyncio
import sys
from collections.abc import Sequence

import shoal
from shoal.core.ranges import fold

CONFIG = shoal.VMConfig(vcpus=2, memory_mib=128)
PREFIX = "fill-"


async def level(ns: shoal.NamespaceHandle, load: float) -> None:
    """Bring the namespace to a load."""
    ours = {vm.name: vm.state async for vm in ns.vms() if vm.name.startswith(PREFIX)}
    running = sum(state in ("BUILDING", "RUNNING", "PAUSED") for state in ours.values())
    hosts = [host async for host in ns.hosts() if host.state == "alive"]
    cpus = sum(host.cpus for host in hosts)
    others = sum(host.cpucommit for host in hosts) - running * CONFIG.vcpus
    count = max(0, int((load * cpus - others) / CONFIG.vcpus))
    wanted = [f"{PREFIX}{number}" for number in range(count)]

    if surplus := sorted(ours.keys() - set(wanted)):
        alive = [name for name in surplus if ours[name] not in ("QUIT", "ERROR")]
        if alive:
            await ns.kill(fold(alive))
        await ns.flush(fold(surplus))
    if missing := [name for name in wanted if name not in ours]:
        async for step in (launching := ns.launch(fold(missing), CONFIG)):
            print(f"{step.text} {step.done} of {step.total}", file=sys.stderr)
        await launching
    if idle := [name for name in wanted if ours.get(name) != "RUNNING"]:
        await ns.start(fold(idle))
        await ns.wait(fold(idle), "RUNNING", timeout_s=120)
    print(f"{count} VMs, {count * CONFIG.vcpus + others} of {cpus} CPUs", flush=True)


async def main(arguments: Sequence[str]) -> None:
    """Go through the loads, one after another."""
    async with shoal.connect(name="fill", patience_s=60) as client:
        ns = client.namespace(arguments[0])
        await ns.create()
        for load in arguments[1:]:
            await level(ns, float(load))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
