"""A real guest whose kernel and initrd come from the cluster's file store: fetched by the worker, verified, booted."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from tests.system.lab_rig import laboratory

from shoal.core.vmconfig import VMConfig
from shoal_worker.guest import MEMORY_MIB, READY_MARKER, command_line

pytestmark = [pytest.mark.root, pytest.mark.timeout(500)]
BOOT_TIMEOUT_S = 240


async def test_a_guest_boots_from_the_store(guest_image, tmp_path_factory):
    """What was put is what boots: in the worker's cache under its digest, once for two guests, gone from nobody."""
    folder = Path(tmp_path_factory.mktemp("lab"))  # short: sockets of guests are below it
    async with laboratory(folder, 1) as (state, client):
        await boot(client, guest_image, state)


async def boot(client, image, state):
    await client.files.put(image.kernel, "guest/kernel")
    await client.files.put(image.initrd, "guest/initrd")
    ns = client.namespace("red")
    await ns.create()
    config = VMConfig(
        kernel="file:guest/kernel",
        initrd="guest/initrd",
        memory_mib=MEMORY_MIB,
        serial_ports=1,
        append=command_line("red/vm", "10.0.0.1/24"),
    )
    launched = await ns.launch("vm[1-2]", config)
    assert (launched.count, launched.failures) == (2, ())
    await ns.start("vm1")
    [row, _] = await ns.vms()
    cached = {path.name: path for path in (state / row.host / "files").iterdir()}
    kept = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (image.kernel, image.initrd)]
    assert set(cached) == set(kept)
    log = state / row.host / "by-name" / row.namespace / row.name / "serial0.log"
    async with asyncio.timeout(BOOT_TIMEOUT_S):
        while READY_MARKER not in log.read_text(errors="replace"):
            await asyncio.sleep(0.2)
    await ns.clear()
