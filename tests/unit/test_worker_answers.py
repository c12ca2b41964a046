"""What a worker answers about guests: pictures on its own disk, images for drives."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.errors import NotFound, Refused
from shoal.messages.host_requests import ChangeMedium, Medium, PlugDrive, TakeScreenshot, UnplugDrives
from shoal_worker.answers import ANSWERS, answers_of
from shoal_worker.answers.desk import Desk, shelve
from shoal_worker.capture_book import CaptureBook
from shoal_worker.captures import Captures
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.hypervisor import Guest
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.machine import SimulatedMachine
from shoal_worker.programs import NoPrograms
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_recorder import SimulatedRecorder

PNG = b"\x89PNG\r\n\x1a\n"


def untold(*_: object) -> None:
    """Nobody listens."""


@pytest.fixture
def desk() -> Desk:
    """A host with one running guest, i1."""
    kept, blobs = SimulatedGuests(), MemoryBlobs()
    kept.guests["i1"] = Guest(namespace="foo", name="a", instance="i1", revision=1, state="running", pid=1000)
    return Desk(
        host="mm1",
        hypervisor=SimulatedHypervisor(kept),
        access=SimulatedAccess(kept),
        machine=SimulatedMachine("mm1"),
        desired=DesiredState("mm1", "inc"),
        cache=SimulatedCache(blobs),
        blobs=blobs,
        captures=Captures(SimulatedRecorder(), CaptureBook(), structlog.get_logger()),
        programs=NoPrograms("mm1"),
    )


async def ask(desk: Desk, question: Any) -> Any:
    """The answer to a question."""
    return await answers_of(desk)[type(question)](question, untold)


def test_every_question_has_its_own_verb() -> None:
    """No two questions are sent under the same subject."""
    assert len({kind.verb for kind in ANSWERS}) == len(ANSWERS)


async def test_a_picture_replaces_pictures_only(desk: Desk, tmp_path: Path) -> None:
    """A screenshot at a path of the host replaces an older one, and nothing else that is there."""
    picture = tmp_path / "a.png"
    for longest in (0, 100):
        content = await ask(desk, TakeScreenshot(instance="i1", path=str(picture), longest=longest))
        assert picture.read_bytes().startswith(PNG)
        assert content.size == picture.stat().st_size
        assert content.digest == ""
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    with pytest.raises(Refused, match="something is there that is no picture"):
        await ask(desk, TakeScreenshot(instance="i1", path=str(other)))
    assert other.read_text() == "mine"
    os.mkfifo(tmp_path / "pipe")
    async with asyncio.timeout(10):
        with pytest.raises(Refused, match="something is there that is no picture"):
            await ask(desk, TakeScreenshot(instance="i1", path=str(tmp_path / "pipe")))
    with pytest.raises(Refused, match="cannot write"):
        await ask(desk, TakeScreenshot(instance="i1", path=str(tmp_path / "no" / "a.png")))


async def test_images_must_be_there(desk: Desk, tmp_path: Path) -> None:
    """A path without a file, and content that is not in the store, are refused by name; a file is taken."""
    image = tmp_path / "a.iso"
    image.write_bytes(b"x")
    await ask(desk, ChangeMedium(instance="i1", medium=Medium(path=str(image))))
    with pytest.raises(NotFound, match=r"no file /no/b\.iso on host mm1"):
        await ask(desk, ChangeMedium(instance="i1", medium=Medium(path="/no/b.iso")))
    with pytest.raises(NotFound, match="not in the cluster's file store"):
        await ask(desk, PlugDrive(instance="i1", medium=Medium(name="c", digest="0" * 64), version="2.0"))
    assert await desk.access.plugged("i1") == ()


async def test_content_of_the_cluster_is_fetched_first(desk: Desk) -> None:
    """A drive with a file of the cluster is the file that the cache keeps under its digest."""
    content = await shelve(desk.blobs, b"image", "c.img")
    question = PlugDrive(instance="i1", medium=Medium(name="c.img", digest=content.digest), version="1.1")
    assert (await ask(desk, question)).text == "0"
    (drive,) = await desk.access.plugged("i1")
    assert (drive.number, drive.path, drive.version) == (0, desk.cache.path(content.digest), "1.1")


async def test_all_drives_are_taken_out(desk: Desk, tmp_path: Path) -> None:
    """Without a number every drive goes; with none there that is said."""
    image = tmp_path / "a.img"
    image.write_bytes(b"x")
    for _ in range(2):
        await ask(desk, PlugDrive(instance="i1", medium=Medium(path=str(image)), version="2.0"))
    await ask(desk, UnplugDrives(instance="i1"))
    assert await desk.access.plugged("i1") == ()
    with pytest.raises(Refused, match="no hotplug devices to remove"):
        await ask(desk, UnplugDrives(instance="i1"))
