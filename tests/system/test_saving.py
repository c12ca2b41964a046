"""Saving on real parts: a guest that is saved goes on, and goes on again elsewhere from where it was."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.system.lab_rig import BOOT_TIMEOUT_S, booted, laboratory
from tests.waiting import eventually

from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.errors import InvalidRequest
from shoal.messages.disks import CreateDisk, ShowDisk
from shoal.messages.saving import ListSaves, SaveNamespace, SaveVM, ShowSave
from shoal.messages.vlans import AddBridge
from shoal.testing.cluster import environment
from shoal_worker.guest import MEMORY_MIB, NIC_DRIVER, READY_MARKER, GuestImage, command_line
from shoal_worker.guest.console import serial_console

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

HOSTS = ("mm1", "mm2")


def config(image: GuestImage, name: str, address: str, host: str) -> VMConfig:
    return VMConfig(
        kernel=str(image.kernel),
        initrd=str(image.initrd),
        memory_mib=MEMORY_MIB,
        serial_ports=1,
        schedule=host,
        disks=(DiskSpec("base.qcow2", driver="virtio"),),
        networks=(NetSpec(vlan="100", bridge="lan", driver=NIC_DRIVER),),
        append=command_line(f"red/{name}", f"{address}/24"),
    )


class Red:
    """The namespace of the test, and its guests' serial lines."""

    def __init__(self, state: Path, client: Any) -> None:
        self.state = state
        self.client = client
        self.ns = client.namespace("red")

    async def row(self, name: str) -> Any:
        return next(row for row in await self.ns.vms() if row.name == name)

    async def folder(self, name: str) -> Path:
        return self.state / str((await self.row(name)).host) / "by-name" / "red" / name

    async def booted(self, name: str) -> None:
        await booted(await self.folder(name))

    async def uptime_s(self, name: str) -> int:
        async with serial_console(await self.folder(name) / "serial0.sock") as console:
            return await console.uptime_s()

    async def hears(self, name: str, address: str) -> str:
        """Who answers a guest at an address; it asks until somebody does."""
        async with (
            asyncio.timeout(BOOT_TIMEOUT_S),
            serial_console(await self.folder(name) / "serial0.sock") as console,
        ):
            while (answer := await console.ask(address, timeout_s=60)) is None:
                pass
        return answer

    async def older_than(self, name: str, uptime_s: int) -> None:
        async def older() -> bool:
            return await self.uptime_s(name) > uptime_s

        await eventually(older, f"{name} is older than {uptime_s} s", BOOT_TIMEOUT_S)


async def test_saved_guests_go_on(guest_image: GuestImage, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A saved guest runs on; killed, it goes on from then under another name on another host; so does a namespace."""
    folder = Path(tmp_path_factory.mktemp("lab"))  # short: sockets of guests are below it
    async with laboratory(folder, len(HOSTS)) as (state, client):
        red = Red(state, client)
        await red.ns.create()
        await red.ns.call(AddBridge(bridge="lan"))
        await client.call(CreateDisk(form="qcow2", image="base.qcow2", size="16M"))
        await red.ns.launch("vm1", config(guest_image, "vm1", "10.0.0.1", "mm1"))
        await red.ns.launch("peer", config(guest_image, "peer", "10.0.0.2", "mm1"))
        await red.ns.start("all")
        for name in ("vm1", "peer"):
            await red.booted(name)
        saved_at = await check_save(red)
        await check_restore(red, guest_image, saved_at)
        await check_namespace(red, folder)


async def check_save(red: Red) -> int:
    """The guest goes on in the same QEMU; its files are there, and nothing is left beside it."""
    before = await red.row("vm1")
    await red.older_than("vm1", 20)
    saved = await red.ns.call(SaveVM(vm="vm1"))
    assert saved.files == ("saved/vm1.hdd", "saved/vm1.state")
    after = await red.row("vm1")
    assert (after.state, after.pid) == ("RUNNING", before.pid)
    saved_at = await red.uptime_s("vm1")
    await red.older_than("vm1", saved_at + 20)
    assert await red.hears("peer", "10.0.0.1") == "red/vm1"
    assert not (await red.folder("vm1") / "save").exists()
    [row] = (await red.ns.call(ListSaves())).items
    assert (row.name, row.status) == ("vm1", "completed")
    [image] = (await red.client.call(ShowDisk(image="saved/vm1.hdd", recursive=True))).items
    assert (image.format, image.virtual, image.backing) == ("qcow2", 16 << 20, "")
    return saved_at


async def check_restore(red: Red, image: GuestImage, saved_at: int) -> None:
    """Another name, another host, the original killed: the clock goes on from the save, and nothing has booted."""
    mac = (await red.row("vm1")).ports[0].mac
    await red.ns.kill("vm1")
    wanted = replace(
        config(image, "vm1", "10.0.0.1", "mm2"),
        state="saved/vm1.state",
        disks=(DiskSpec("saved/vm1.hdd", driver="virtio"),),
    )
    with pytest.raises(InvalidRequest, match="vcpus: 2, saved with 1"):
        await red.ns.launch("again", replace(wanted, vcpus=2))
    await red.ns.launch("again", wanted)
    await red.ns.start("again")
    uptime_s = await red.uptime_s("again")
    assert saved_at - 20 <= uptime_s < saved_at + 20
    row = await red.row("again")
    assert (row.host, row.state, row.ports[0].mac) == ("mm2", "RUNNING", mac)
    assert READY_MARKER not in (await red.folder("again") / "serial0.log").read_text(errors="replace")
    assert await red.hears("peer", "10.0.0.1") == "red/vm1"
    assert not (await red.folder("again") / "image").exists()


async def check_namespace(red: Red, folder: Path) -> None:
    """All guests are saved as of one moment, run on, and are launched again by the script that was written."""
    ages = {name: await red.uptime_s(name) for name in ("again", "peer")}
    await red.ns.flush()
    await red.ns.call(SaveNamespace(name="monday"))
    assert {row.state for row in await red.ns.vms()} == {"RUNNING"}
    progress = await red.ns.call(ShowSave())
    assert (progress.completed, progress.total) == (2, 2)
    for name, age in ages.items():
        await red.older_than(name, age + 40)
    await red.ns.clear()
    script = folder / "launch.mm"
    await red.client.files.get("saved/monday/launch.mm", script)
    url = json.loads((red.state / "lab.json").read_text())["url"]
    read = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "shoal.cli.main", "read", "--strict", str(script)],
        capture_output=True,
        text=True,
        env=environment(url),
        timeout=300,
        check=False,
    )
    assert (read.returncode, read.stdout) == (0, ""), read.stderr
    for name, age in ages.items():
        assert age - 20 <= await red.uptime_s(name) < age + 40
        assert READY_MARKER not in (await red.folder(name) / "serial0.log").read_text(errors="replace")
    assert {row.state for row in await red.ns.vms()} == {"RUNNING"}
    assert await red.hears("peer", "10.0.0.1") == "red/vm1"
