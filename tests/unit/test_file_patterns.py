"""Names of files made of others, patterns that mean several files, and files that the head offers."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.core.files import check_file, named_before_suffix, partial_name
from shoal.errors import InvalidRequest, NotFound
from shoal.messages.host_requests import OfferFile
from shoal_orchestrator.core.records import FileRecord
from shoal_orchestrator.core.stored_files import files_matching, is_pattern
from shoal_worker.answers.desk import Desk
from shoal_worker.answers.offers import offer_file
from shoal_worker.capture_book import CaptureBook
from shoal_worker.captures import Captures
from shoal_worker.core.desired import DesiredState
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.machine import SimulatedMachine
from shoal_worker.programs import NoPrograms
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_recorder import SimulatedRecorder

FILES = {
    name: FileRecord(name=name, digest="d", size=1)
    for name in ("a.pcap", "b.pcap", "c.txt", "red/a.pcap", "red/deep/x.pcap", "reddish/y")
}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.pcap", ["a.pcap", "b.pcap"]),
        ("[ab].*", ["a.pcap", "b.pcap"]),
        ("?.txt", ["c.txt"]),
        ("red/*.pcap", ["red/a.pcap"]),
        ("*/*.pcap", ["red/a.pcap"]),
        ("red/*", ["red/a.pcap", "red/deep/x.pcap"]),
        ("red*", ["red/a.pcap", "red/deep/x.pcap", "reddish/y"]),
        ("/red/*.pcap", ["red/a.pcap"]),
        ("file:re?/a.pcap", ["red/a.pcap"]),
        ("*", sorted(FILES)),
    ],
)
def test_patterns_stay_within_their_directories(pattern: str, names: list[str]) -> None:
    """A star stands for characters of one name; a directory that matches means all that is in it."""
    assert is_pattern(pattern)
    assert [record.name for record in files_matching(FILES, pattern)] == names


def test_a_pattern_without_files_is_an_error() -> None:
    """What matches nothing is said: nothing is deleted silently."""
    with pytest.raises(NotFound, match=r"no file of the cluster matches `\*\.iso`"):
        files_matching(FILES, "*.iso")


@pytest.mark.parametrize(
    ("name", "part", "partial"),
    [
        ("net.pcap", "net-mm1-5.pcap", "net.partial.pcap"),
        ("a.b/net.tar.pcap", "a.b/net.tar-mm1-5.pcap", "a.b/net.tar.partial.pcap"),
        ("a.b/net", "a.b/net-mm1-5", "a.b/net.partial.pcap"),
        (".hidden", ".hidden-mm1-5", ".hidden.partial.pcap"),
    ],
)
def test_names_made_of_names(name: str, part: str, partial: str) -> None:
    """Host and VLAN stand before the suffix, and so does what says that a file is partial."""
    assert named_before_suffix(name, "-mm1-5") == part
    assert partial_name(name) == partial


@given(st.from_regex(r"[a-z.]{1,4}(/[a-z.]{1,4}){0,2}", fullmatch=True))
def test_a_partial_name_is_never_the_name(name: str) -> None:
    """A partial file cannot be taken for the whole one, and its name is one that a file can have."""
    try:
        check_file(name)
    except InvalidRequest:
        return
    assert check_file(partial_name(name)) != name
    assert ".partial." in partial_name(name)


def desk_with(folder: Path | None) -> Desk:
    guests, blobs = SimulatedGuests(), MemoryBlobs()
    return Desk(
        host="head",
        hypervisor=SimulatedHypervisor(guests),
        access=SimulatedAccess(guests),
        machine=SimulatedMachine("head"),
        desired=DesiredState("head", "inc"),
        cache=SimulatedCache(blobs),
        blobs=blobs,
        captures=Captures(SimulatedRecorder(), CaptureBook(), structlog.get_logger()),
        programs=NoPrograms("head"),
        offered=folder,
    )


async def test_the_head_offers_what_is_in_its_directory(tmp_path: Path) -> None:
    """A file of the directory is in the store afterwards; one that is not there, a directory, and no setting are not."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.qcow2").write_bytes(b"image" * 100_000)
    desk = desk_with(tmp_path)
    content = await offer_file(desk, OfferFile(name="images/a.qcow2"), lambda *_: None)
    assert content.size == 500_000
    assert b"".join([part async for part in desk.blobs.read(content.digest)]) == b"image" * 100_000
    for name in ("images/none", "images"):
        assert not (await offer_file(desk, OfferFile(name=name), lambda *_: None)).digest
    assert not (await offer_file(desk_with(None), OfferFile(name="images/a.qcow2"), lambda *_: None)).digest


async def test_nothing_outside_the_directory_is_offered(tmp_path: Path) -> None:
    """A name that leads out of the directory is refused before anything is read."""
    (tmp_path / "files").mkdir()
    (tmp_path / "secret").write_text("mine")
    for name in ("../secret", "/etc/passwd", "a/../../secret"):
        with pytest.raises(InvalidRequest):
            await offer_file(desk_with(tmp_path / "files"), OfferFile(name=name), lambda *_: None)
