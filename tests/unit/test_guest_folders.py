"""Folders, links and notes of guests."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from shoal_worker.core.ledger import Note
from shoal_worker.guest_folders import GuestFolders
from shoal_worker.hypervisor import HypervisorError

A = Note(namespace="red", name="vm1", instance="a1", revision=1, uuid="u")


@pytest.fixture
def state() -> Iterator[Path]:
    # shorter than pytest's own, since the paths of sockets are limited
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        yield Path(folder)


def files(state: Path) -> set[str]:
    return {str(path.relative_to(state)) for path in state.rglob("*")}


def test_made_and_removed(state: Path) -> None:
    """A guest's folder is found by namespace and name, and removal leaves nothing, twice as once."""
    folders = GuestFolders(state)
    folder = folders.make(A)
    (folder / "serial0.log").write_text("text")
    assert (state / "by-name/red/vm1/serial0.log").read_text() == "text"
    folders.remove(A)
    folders.remove(A)
    assert files(state) == {"guests", "by-name"}


def test_no_second_folder(state: Path) -> None:
    """A folder that is there is somebody's: making it again is refused and leaves it alone."""
    folders = GuestFolders(state)
    (folders.make(A) / "disk0.qcow2").write_text("precious")
    with pytest.raises(HypervisorError, match="red/vm1 is there already"):
        folders.make(A)
    assert (state / "guests/a1/disk0.qcow2").read_text() == "precious"


@pytest.mark.parametrize("step", ["symlink_to", "replace", "write_bytes"])
def test_a_folder_that_cannot_be_completed_goes(
    state: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """When the disk is full before link and draft are there, nothing is left, and it can be made again."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folders = GuestFolders(state)
    with monkeypatch.context() as patched:
        patched.setattr(Path, step, full)
        with pytest.raises(OSError, match="No space left"):
            folders.make(A)
    assert files(state) == {"guests", "by-name"}
    folders.make(A)


def test_the_last_guest_may_go_while_the_next_is_made(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The namespace's folder goes with the one just when the other is about to get its link there."""
    folders = GuestFolders(state)
    folders.make(A)
    symlink_to = Path.symlink_to
    before = [A]

    def late(link: Path, target: Path) -> None:
        while before:
            folders.remove(before.pop())
        symlink_to(link, target)

    monkeypatch.setattr(Path, "symlink_to", late)
    following = Note(namespace="red", name="vm2", instance="a2", revision=1, uuid="u2")
    folders.make(following)
    assert (state / "by-name" / "red" / "vm2").resolve() == folders.path("a2").resolve()
    assert not folders.path("a1").exists()


def test_link_leads_to_the_newest(state: Path) -> None:
    """The link follows the newest instance of a name, and outlives the removal of an older one."""
    folders = GuestFolders(state)
    newer = msgspec.structs.replace(A, instance="b2")
    folders.make(A)
    folders.make(newer)
    folders.remove(A)
    assert (state / "by-name/red/vm1").resolve().name == "b2"


def test_notes_survive(state: Path) -> None:
    """Notes are read as written; a folder without a readable one is removed as a leftover."""
    folders = GuestFolders(state)
    ended = msgspec.structs.replace(A, ended="failed", reason="QEMU died")
    folders.make(A)
    folders.write(ended)
    (state / "guests/half").mkdir()
    (state / "guests/torn").mkdir()
    (state / "guests/torn/guest.json").write_text("{")
    assert GuestFolders(state).read_all() == [ended]
    folders.remove_unnoted(keep=())
    assert not (state / "guests/half").exists()
    assert (state / "guests/torn").exists(), "what has a note may be a guest's"


def test_the_folder_of_a_guest_stays_without_a_note(state: Path) -> None:
    """What a guest runs on is no leftover because it could not be noted; what nobody knows is one."""
    folders = GuestFolders(state)
    folder = folders.make(A)
    folders.make(msgspec.structs.replace(A, name="vm2", instance="b2"))
    folders.remove_unnoted(keep={A.instance})
    assert list((state / "guests").iterdir()) == [folder]


def test_adoption_makes_what_is_missing(state: Path) -> None:
    """A guest that runs gets folder, link and note, whatever of them is there."""
    folders = GuestFolders(state)
    for _ in "twice":
        folders.adopt(A)
        assert folders.read_all() == [A]
        assert (state / "by-name/red/vm1").resolve() == state / "guests/a1"


def test_write_after_removal_brings_nothing_back(state: Path) -> None:
    """A note on a guest whose folder is gone is dropped."""
    folders = GuestFolders(state)
    folders.write(A)
    assert files(state) == set()


@pytest.mark.parametrize(
    "note",
    [
        msgspec.structs.replace(A, instance="../x"),
        msgspec.structs.replace(A, instance=".."),
        msgspec.structs.replace(A, instance=""),
        msgspec.structs.replace(A, namespace="a/b"),
        msgspec.structs.replace(A, name="..\n"),
    ],
)
def test_no_name_leads_elsewhere(state: Path, note: Note) -> None:
    """A name or instance that is no plain file name is refused before anything is made."""
    with pytest.raises(HypervisorError, match="not a plain name"):
        GuestFolders(state).make(note)
    assert files(state) == set()


def test_long_paths_are_refused(state: Path) -> None:
    """A state folder so deep that sockets cannot be bound in it is refused with advice."""
    with pytest.raises(HypervisorError, match="choose a shorter state folder"):
        GuestFolders(state / ("x" * 100)).make(A)
