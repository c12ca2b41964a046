"""A real guest whose kernel and initrd come from the cluster's file store: fetched by the worker, verified, booted."""

import hashlib
from pathlib import Path

import pytest
from tests.system.lab_rig import booted, laboratory

from shoal.core.vmconfig import VMConfig
from shoal_worker.guest import MEMORY_MIB, command_line

pytestmark = [pytest.mark.root, pytest.mark.timeout(500)]
CONFIG = VMConfig(
    kernel="file:guest/kernel",
    initrd="guest/initrd",
    memory_mib=MEMORY_MIB,
    serial_ports=1,
    append=command_line("red/vm", "10.0.0.1/24"),
)


async def test_a_guest_boots_from_the_store(guest_image, tmp_path_factory):
    """What was put is what boots: in the worker's cache under its digest, once for two guests, gone from nobody."""
    folder = Path(tmp_path_factory.mktemp("lab"))  # short: sockets of guests are below it
    async with laboratory(folder, 1) as (state, client):
        await client.files.put(guest_image.kernel, "guest/kernel")
        await client.files.put(guest_image.initrd, "guest/initrd")
        ns = client.namespace("red")
        await ns.create()
        launched = await ns.launch("vm[1-2]", CONFIG)
        assert (launched.count, launched.failures) == (2, ())
        await ns.start("vm1")
        [row, _] = await ns.vms()
        cached = sorted(path.name for path in (state / row.host / "files").iterdir())
        assert cached == sorted(map(digest_of, (guest_image.kernel, guest_image.initrd)))
        await booted(state / row.host / "by-name" / row.namespace / row.name)
        await ns.clear()
        assert [found.name for found in await client.files.list("guest")] == ["guest/initrd", "guest/kernel"]


def digest_of(file):
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
