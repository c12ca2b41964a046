"""The libvirt adapter and the file cache on a disk that is really full: a small file system, filled by the test."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.system.hypervisor_rig import Worker, spec
from tests.system.small_disk import MIB, SmallDisk
from tests.waiting import wait_until

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.core.vmconfig import DiskSpec
from shoal_worker.core.ledger import Note
from shoal_worker.file_cache import CacheError, DiskCache
from shoal_worker.guest import GuestImage
from shoal_worker.guest_folders import GuestFolders
from shoal_worker.hypervisor import GuestSpec, HypervisorError
from shoal_worker.qemu_images import QemuImages

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


@pytest.fixture
def cramped(need: Callable[[str, bool], None], disk: SmallDisk) -> Iterator[Worker]:
    """A worker whose state folder is the small disk."""
    need("qemu-system-x86_64", shutil.which("qemu-system-x86_64") is not None)
    need("user libvirt-qemu", any(user.pw_name == "libvirt-qemu" for user in pwd.getpwall()))
    pytest.importorskip("libvirt")
    found = Worker(disk.path)
    found.start()
    try:
        yield found
    finally:
        found.end()


def with_disk(image: GuestImage, folder: Path, size: str) -> GuestSpec:
    """A guest with a disk outside the small file system, of which it gets an overlay inside."""
    base = folder / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(base), size], check=True)
    return spec(image, "vm1", disks=(DiskSpec(str(base)),))


def untouched(worker: Worker, disk: SmallDisk, before: set[str]) -> None:
    """Nothing of a guest is there: no domain, no process, no file."""
    assert worker.ask("survey").survey.guests == ()
    assert disk.files() == before
    assert not list(disk.path.glob("guests/*"))
    assert not list(disk.path.glob("by-name/*"))


@pytest.mark.parametrize("left", [8 * MIB, 300 * 1024, 0])
def test_a_full_disk_refuses_a_guest_before_anything_is_made(
    cramped: Worker, disk: SmallDisk, image: GuestImage, tmp_path: Path, left: int
) -> None:
    """On a disk that is (nearly) full no guest is begun, the reason says which disk of which host; with room it is made."""
    wanted = with_disk(image, tmp_path, "16M")
    before = disk.files()
    with disk.filled(left):
        answer = cramped.ask("create", spec=wanted)
        assert answer.error.startswith("cannot create guest red/vm1: the disk of host mm1 is full: ")
        assert f"in {disk.path}" in answer.error
        assert "16.0 MiB are needed" in answer.error
        untouched(cramped, disk, before)
    assert cramped.ask("create", spec=wanted).error == ""
    assert cramped.ask("resume", instance=wanted.instance).survey.guests[0].state == "running"


def test_an_overlay_that_ends_half_way_is_removed(
    cramped: Worker, disk: SmallDisk, image: GuestImage, tmp_path: Path
) -> None:
    """When the space ends while an overlay is written, it goes, no domain is defined, and with room the guest is made."""
    # the table of so large a disk takes 32 MiB, where others take nothing
    wanted = with_disk(image, tmp_path, "2P")
    before = disk.files()
    with disk.filled(24 * MIB):
        answer = cramped.ask("create", spec=wanted)
        assert answer.error.startswith("cannot create guest red/vm1: the disk of host mm1 is full: ")
        assert "No space left on device" in answer.error
        untouched(cramped, disk, before)
        assert disk.free >= 24 * MIB
    assert cramped.ask("create", spec=wanted).error == ""


@pytest.mark.parametrize("left", range(5))
def test_a_disk_full_of_files_takes_no_guest(
    cramped: Worker, disk: SmallDisk, image: GuestImage, left: int
) -> None:
    """Where no more files can be made a guest is refused for the full disk, again and again, and nothing is left."""
    wanted = spec(image, "vm1")
    before = disk.files()
    with disk.full_of_files(left):
        for _ in "twice":
            answer = cramped.ask("create", spec=wanted)
            assert answer.error.startswith("cannot create guest red/vm1: the disk of host mm1 is full: ")
            assert "No space left on device" in answer.error
            untouched(cramped, disk, before)
    assert cramped.ask("create", spec=wanted).error == ""


def test_a_saved_state_needs_room_for_its_copy(
    cramped: Worker, disk: SmallDisk, image: GuestImage, tmp_path: Path
) -> None:
    """A guest that is to go on from a state is refused where the copy that libvirt reads does not fit."""
    state = tmp_path / "state"
    with state.open("wb") as file:
        file.truncate(80 * MIB)
    before = disk.files()
    answer = cramped.ask("create", spec=spec(image, "vm1", state=str(state)))
    assert answer.error.startswith("cannot create guest red/vm1: the disk of host mm1 is full: ")
    assert "96.0 MiB are needed" in answer.error
    untouched(cramped, disk, before)


def test_a_guest_that_ends_on_a_full_disk_is_told_of(
    cramped: Worker, disk: SmallDisk, image: GuestImage
) -> None:
    """That a guest ended is known although it cannot be written down; it is, as soon as there is room."""
    wanted = spec(image, "vm1")
    pid = cramped.ask("create", spec=wanted).survey.guests[0].pid
    os.kill(pid, signal.SIGKILL)
    # what libvirt gives back when a guest ends would suffice for a note
    wait_until(lambda: not list(disk.path.glob("libvirt/run/qemu/vm1@red.*")), "libvirt has cleaned up")
    with disk.filled():
        reason = cramped.wait_for(wanted.instance, "failed").reason
        assert reason == "QEMU died: killed by signal 9 (SIGKILL)"
    note = disk.path / "guests" / wanted.instance / "guest.json"

    def written() -> bool:
        cramped.ask("survey")
        return "SIGKILL" in note.read_text()

    wait_until(written, "the end is written down")
    cramped.kill()
    cramped.start()
    assert cramped.guest(wanted.instance).reason == reason


def test_what_was_begun_is_noted_without_space(disk: SmallDisk) -> None:
    """A guest that is there when the space ends can still be noted: its creation need not fail at its last step."""
    folders = GuestFolders(disk.path)
    note = Note(namespace="red", name="vm1", instance="i1", revision=1, uuid="u1")
    folders.make(note)
    with disk.filled():
        folders.settle(note)
        assert folders.read_all() == [note]


async def test_an_image_that_does_not_fit_leaves_nothing(disk: SmallDisk) -> None:
    """An image or an overlay that qemu-img cannot finish is removed, at a path of one's own as among drafts."""
    images = QemuImages(disk.path / "images")
    base = disk.path / "base.qcow2"
    await images.create("qcow2", 2 << 50, str(base))
    before = disk.files()
    with disk.filled(16 * MIB):
        for make in (
            images.create("qcow2", 2 << 50, str(disk.path / "new.qcow2")),
            images.create("qcow2", 2 << 50),
            images.overlay(str(base), str(disk.path / "top.qcow2")),
        ):
            with pytest.raises(HypervisorError, match="No space left on device"):
                await make
        assert disk.files() == before


def put(blobs: MemoryBlobs, size: int) -> str:
    content = os.urandom(size)
    digest = hashlib.sha256(content).hexdigest()
    blobs.content[digest] = content
    return digest


def nothing() -> set[str]:
    return set()


async def test_a_file_that_does_not_fit_is_not_begun(disk: SmallDisk) -> None:
    """Content for which the disk has no room, beside what the worker itself needs, is refused by size and place."""
    blobs = MemoryBlobs()
    digest = put(blobs, 4 * MIB)
    cache = DiskCache(disk.path / "files", blobs, 1 << 30)
    with disk.filled(19 * MIB):
        with pytest.raises(CacheError) as refused:
            await cache.fetch(digest, nothing, lambda *_: None)
        assert "the disk is full: " in str(refused.value)
        assert f"in {disk.path / 'files'}" in str(refused.value)
        assert (disk.files(), blobs.reads) == (set(), 0)
    await cache.fetch(digest, nothing, lambda *_: None)
    assert disk.files() == {f"files/{digest}"}


async def test_a_file_that_ends_half_way_is_removed(disk: SmallDisk) -> None:
    """When others take the space while content comes, what has come of it goes, and the reason says so."""
    blobs = MemoryBlobs()
    digest = put(blobs, 8 * MIB)
    cache = DiskCache(disk.path / "files", blobs, 1 << 30)

    def filled(done: int, size: int) -> None:
        if done > size // 2:
            disk.fill()

    with disk.filled(48 * MIB):
        with pytest.raises(CacheError) as refused:
            await cache.fetch(digest, nothing, filled)
        assert "the disk is full" in str(refused.value)
        assert f"in {disk.path / 'files'}" in str(refused.value)
        assert disk.files() == set()
    await cache.fetch(digest, nothing, lambda *_: None)
    assert cache.holds(digest)


async def test_what_nobody_uses_makes_room_on_a_full_disk(disk: SmallDisk) -> None:
    """Unused content goes when the disk is short of space, though the cache itself may have more."""
    blobs = MemoryBlobs()
    used, unused, wanted = (put(blobs, 8 * MIB) for _ in range(3))
    cache = DiskCache(disk.path / "files", blobs, 1 << 30)
    for digest in (used, unused):
        await cache.fetch(digest, nothing, lambda *_: None)
    with disk.filled(20 * MIB):
        await cache.fetch(wanted, lambda: {used}, lambda *_: None)
        assert disk.files() == {f"files/{used}", f"files/{wanted}"}
