"""Writes what there is as two CSV files, hosts and placements: `python export_csv.py hosts.csv vms.csv`."""

import asyncio
import contextlib
import csv
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import shoal

HOSTS = ("host", "role", "state", "cpus", "memtotal_mib", "vms", "cpucommit", "memcommit_mib", "netcommit")
VMS = ("namespace", "vm", "host", "state", "vcpus", "memory_mib", "vlans", "macs", "tags")
Row = tuple[object, ...]


async def hosts(client: shoal.Client) -> AsyncIterator[Row]:
    """A row for each host of the cluster."""
    async for host in client.hosts():
        yield tuple(getattr(host, column) for column in HOSTS)


async def placements(client: shoal.Client) -> AsyncIterator[Row]:
    """A row for each VM of each namespace. Lists are read page by page: a large cluster needs no large memory."""
    async for row in client.namespaces():
        with contextlib.suppress(shoal.NotFound):  # removed meanwhile
            async for vm in client.namespace(row.namespace).vms():
                vlans = " ".join(port.alias or str(port.vlan) for port in vm.ports)
                macs = " ".join(port.mac for port in vm.ports)
                tags = " ".join(f"{key}={value}" for key, value in sorted(vm.config.tags.items()))
                size = (vm.config.vcpus, vm.config.memory_mib)
                yield (vm.namespace, vm.name, vm.host, vm.state, *size, vlans, macs, tags)


async def write(path: str, header: Sequence[str], rows: AsyncIterator[Row]) -> None:
    """Write one file."""
    count = 0
    with Path(path).open("w", newline="", encoding="utf-8") as file:  # noqa: ASYNC230  (a local file of a small program)
        sheet = csv.writer(file)
        sheet.writerow(header)
        async for row in rows:
            sheet.writerow(row)
            count += 1
    print(f"{path}: {count} rows", flush=True)


async def main(arguments: Sequence[str]) -> None:
    """Write both files."""
    async with shoal.connect(name="export_csv", patience_s=60) as client:
        await write(arguments[0], HOSTS, hosts(client))
        await write(arguments[1], VMS, placements(client))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
