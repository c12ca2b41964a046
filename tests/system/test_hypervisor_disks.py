"""The libvirt adapter with real QEMU under TCG: what guests write, and images that are refused."""

from __future__ import annotations

import subprocess
import uuid

import pytest
from tests.system.hypervisor_rig import Worker, spec
from tests.waiting import wait_until

from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal_worker.guest import GuestImage
from shoal_worker.hypervisor import GuestSpec

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

#: a boot sector that writes itself to the second sector by the BIOS, says on the serial line whether it could, and halts
BOOT_SECTOR = (
    bytes.fromhex(
        "31c0 8ed8 8ec0"  # segments 0
        "bb007c b80103 b90200 ba8000 cd13"  # write 1 sector from 7c00 to cylinder 0, sector 2 of the first disk
        "baf803 b057 7302 b045 ee"  # `W`, or `E` if that failed, to COM1
        "f4 ebfd"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_what_a_guest_writes_is_in_its_overlay(worker: Worker, form: str) -> None:
    """A guest that writes to its disk leaves the image byte for byte the same; what it wrote is in its overlay."""
    plain = worker.state / "plain.img"
    plain.write_bytes(BOOT_SECTOR.ljust(1 << 20, b"\0"))
    # where a worker keeps the cluster's files, which must not need others
    folder = worker.state / "files"
    folder.mkdir()
    disk = folder / "image"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, str(plain), str(disk)], check=True)
    disk.chmod(0o444)
    before = disk.read_bytes()
    config = VMConfig(memory_mib=32, disks=(DiskSpec(str(disk)),), serial_ports=1)
    wanted = GuestSpec(
        namespace="red",
        name="writer",
        instance=uuid.uuid4().hex,
        revision=1,
        uuid=str(uuid.uuid4()),
        config=config,
    )
    assert worker.ask("create", spec=wanted).error == ""
    worker.ask("resume", instance=wanted.instance)
    guest = worker.state / "guests" / wanted.instance
    wait_until(lambda: (guest / "serial0.log").read_bytes()[-1:] in (b"W", b"E"), "the sector written", 120)
    assert (guest / "serial0.log").read_bytes()[-1:] == b"W"
    worker.ask("pause", instance=wanted.instance)
    seen = worker.state / "seen.img"
    copy = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(guest / "disk0.qcow2"), str(seen)]
    subprocess.run(copy, check=True)
    assert seen.read_bytes()[512:1024] == BOOT_SECTOR
    worker.ask("destroy", instance=wanted.instance)
    assert disk.read_bytes() == before
    assert before.count(BOOT_SECTOR) == 1


def test_an_image_of_the_cluster_needs_no_other(worker: Worker, image: GuestImage) -> None:
    """A file of the cluster that names a backing file, even another one of the cluster, is refused at launch."""
    folder = worker.state / "files"
    folder.mkdir()
    (folder / "base").write_bytes(b"\0" * 512)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base", str(folder / "top")]
    subprocess.run(command, check=True)
    answer = worker.ask("create", spec=spec(image, "vm1", disks=(DiskSpec(str(folder / "top")),)))
    assert "it needs a backing file, 'base', and a file of the cluster must not need others" in answer.error
    assert answer.survey.guests == ()


def test_snapshot_leaves_the_disk_alone(worker: Worker, image: GuestImage) -> None:
    """With snapshot a guest gets an overlay of its own in its folder; the image stays as it was."""
    disk = worker.state / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "16M"], check=True)
    before = disk.read_bytes()
    one, two = (spec(image, name, disks=(DiskSpec(str(disk)),)) for name in ("vm1", "vm2"))
    for wanted in (one, two):
        assert worker.ask("create", spec=wanted).error == ""
        worker.ask("resume", instance=wanted.instance)
        assert (worker.state / "guests" / wanted.instance / "disk0.qcow2").exists()
    for wanted in (one, two):
        worker.ask("destroy", instance=wanted.instance)
    assert disk.read_bytes() == before
