"""A host whose disk is really full, in a cluster: what becomes of launches, and of what runs there."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from tests.system.small_disk import MIB, SmallDisk
from tests.system.test_hypervisor_disks import BOOT_SECTOR
from tests.system.worker_rig import HOST, RealHost, heard, real_host, small
from tests.waiting import eventually

from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal.messages.events import VMFailed, VMPaused
from shoal_worker.guest import GuestImage

pytestmark = [pytest.mark.root, pytest.mark.timeout(400), pytest.mark.usefixtures("able")]


def base(folder: Path) -> DiskSpec:
    """A disk outside the small file system, of which a VM gets an overlay inside."""
    path = folder / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "16M"], check=True)
    return DiskSpec(str(path))


async def degraded(host: RealHost) -> str:
    """Why the host is degraded; empty when it is not."""
    (row,) = [row for row in await host.client.hosts() if row.host == HOST]
    return next((words for words in row.warnings if words.startswith("degraded: ")), "")


async def test_vms_that_do_not_fit_are_errors_and_run_when_there_is_room(
    disk: SmallDisk, image: GuestImage, tmp_path: Path
) -> None:
    """Neither a VM whose overlay does not fit nor one whose file does not is begun: both are in ERROR, row, reply and
    event say which disk of which host is full; with room again a start brings both up, and a launch a third."""
    async with real_host(disk.path) as host, host.red.events() as events:
        (tmp_path / "big").write_bytes(os.urandom(8 * MIB))
        await host.client.files.put(tmp_path / "big", "big")
        local = base(tmp_path)
        with disk.filled(12 * MIB):
            for vm, disks, lack in (
                ("overlay", (local,), f"the disk of host {HOST} is full: "),
                (
                    "fetched",
                    (DiskSpec("file:big"),),
                    f"cannot fetch file big to host {HOST}: the disk is full: ",
                ),
            ):
                before = disk.files()
                launched = await host.red.launch(vm, small(image, vm, disks=disks))
                row = await host.row(vm)
                assert row.state == "ERROR"
                assert lack in row.reason
                assert f"are left in {disk.path}" in row.reason
                assert [lack in failure.message for failure in launched.failures] == [True]
                assert (await heard(events, VMFailed, vm)).reason == row.reason
                assert disk.files() == before
                assert not list(disk.path.glob("guests/*"))
        await host.red.start("overlay,fetched")
        await host.red.launch("later", small(image, "later", disks=(local,)))
        await host.red.start("later")
        for vm in ("overlay", "fetched", "later"):
            await host.until(vm, "RUNNING")


async def test_a_guest_that_cannot_write_is_paused_until_it_is_started(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """A guest whose overlay cannot grow is PAUSED, once, row and event say that the host's disk is full; started when
    there is room it goes on where it was, and nothing that it wrote is lost."""
    (tmp_path / "base.img").write_bytes(BOOT_SECTOR.ljust(MIB, b"\0"))
    config = VMConfig(
        memory_mib=32, disks=(DiskSpec(str(tmp_path / "base.img")),), serial_ports=1, schedule=HOST
    )
    async with real_host(disk.path) as host, host.red.events() as events:
        await host.red.launch("vm", config)
        # less than a cluster of the overlay, and room for the journal
        with disk.filled(32 * 1024):
            await host.red.start("vm")
            row = await host.until("vm", "PAUSED")
            assert row.host == HOST
            assert row.reason.startswith("paused by QEMU: no space is left on the host's disk")
            assert (await heard(events, VMPaused, "vm")).reason == row.reason
            log = disk.path / "guests" / row.instance / "serial0.log"
            assert log.read_bytes() == b""
        await host.red.start("vm")
        again = await host.until("vm", "RUNNING")
        assert (again.pid, again.reason) == (row.pid, "")

        async def spoken() -> bytes:
            return log.read_bytes()

        assert await eventually(spoken, "the guest has written") == b"W"
        assert host.log().count('"done": "resume"') == 2, "it was resumed when it was started, and not else"


async def test_a_disk_that_is_full_to_the_last_byte_loses_nothing(disk: SmallDisk, image: GuestImage) -> None:
    """Where not even the journal can be written, guests run on and the host says why it reports nothing; with room again
    what was asked for meanwhile is carried out, and nothing was begun anew."""
    async with real_host(disk.path) as host:
        await host.red.launch("vm", small(image, "vm"))
        await host.red.start()
        before = await host.row("vm")

        async def toggle() -> None:
            # each is a line of the journal, whose last page has room for some
            for _ in range(20):
                await host.red.stop("vm")
                await host.red.start("vm")

        with disk.filled():
            asking = asyncio.ensure_future(toggle())

            async def told() -> bool:
                return "No space left on device" in await degraded(host)

            await eventually(told, "the host says that its disk is full")
            assert Path(f"/proc/{before.pid}").exists()
            assert not asking.done()
        await asking

        async def well() -> bool:
            return not await degraded(host)

        await eventually(well, "the host is well again")
        now = await host.row("vm")
        assert (now.instance, now.pid, now.state) == (before.instance, before.pid, "RUNNING")
