"""Builds routers and leaves on a private bridge from a small YAML file: `python topology.py topology.yaml`."""

import asyncio
import contextlib
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import shoal
from shoal.core.ranges import expand, fold
from shoal.messages.vlans import AddBridge


def configs(plan: dict[str, Any]) -> list[tuple[list[str], shoal.VMConfig]]:
    """VMs of one kind that are on the same links, and their configuration."""
    links: defaultdict[str, list[str]] = defaultdict(list)
    for link, names in plan["links"].items():
        for name in expand(names):
            links[name].append(link)
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, on in links.items():
        alike[name.rstrip("0123456789"), *on].append(name)
    made = []
    for (kind, *on), names in alike.items():
        nets = tuple(shoal.NetSpec(vlan=link, bridge=plan["bridge"]) for link in on)
        made.append((names, shoal.VMConfig(**plan["kinds"][kind], networks=nets)))
    return made


async def build(ns: shoal.NamespaceHandle, plan: dict[str, Any]) -> None:
    """Launch what is missing, and start everything."""
    await ns.create()
    with contextlib.suppress(shoal.Conflict):  # it is there already
        await ns.call(AddBridge(bridge=plan["bridge"]))
    there = {vm.name async for vm in ns.vms()}
    groups = configs(plan)
    for names, config in groups:
        if missing := [name for name in names if name not in there]:
            print(f"launching {fold(missing)}", flush=True)
            await ns.launch(fold(missing), config)
    await ns.start()
    everyone = fold(name for names, _ in groups for name in names)
    for vm in await ns.wait(everyone, "RUNNING", timeout_s=120):
        print(vm.name, vm.state, *(f"{port.bridge}/{port.alias}" for port in vm.ports), flush=True)


async def main(arguments: Sequence[str]) -> None:
    """Read the file and build what it says."""
    plan = yaml.safe_load(await asyncio.to_thread(Path(arguments[0]).read_text))
    async with shoal.connect(name="topology", patience_s=60) as client:
        await build(client.namespace(plan["namespace"]), plan)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
