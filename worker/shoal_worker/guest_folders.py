"""Keeps a folder for each guest of ours: its sockets, logs and overlays, and a note of who it is and how it ended.

STATE/guests/INSTANCE holds them, STATE/by-name/NAMESPACE/NAME is a link to it. The notes let a worker that was
away tell a guest that died meanwhile from one that never was. This module refuses to know libvirt and QEMU.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Container
from pathlib import Path

import msgspec

from shoal_worker.core.ledger import Note
from shoal_worker.hypervisor import HypervisorError

_SAFE = re.compile(r"(?!\.)[a-zA-Z0-9_.-]{1,128}")
_NOTE = "guest.json"
_DRAFT = f".{_NOTE}"
_TRIES = 10
#: sun_path of a unix socket's address, with its final zero byte (unix(7))
_SOCKET_PATH_BYTES = 108
_LONGEST_SOCKET = "virtio00.sock"


class GuestFolders:
    """The folders below one worker's state folder (absolute). All methods block: call them on a thread."""

    def __init__(self, state: Path) -> None:
        self._guests = state / "guests"
        self._names = state / "by-name"

    @property
    def place(self) -> Path:
        """Where the folders are."""
        return self._guests

    def path(self, instance: str) -> Path:
        """Where the guest's files are. Raises HypervisorError for an instance that is no file name."""
        if not _SAFE.fullmatch(instance):
            raise HypervisorError(f"cannot keep files for guest instance {instance!r}: not a plain name")
        folder = self._guests / instance
        if len(os.fsencode(folder / _LONGEST_SOCKET)) >= _SOCKET_PATH_BYTES:
            raise HypervisorError(
                f"the path {folder} is too long for sockets of a guest: choose a shorter state folder"
            )
        return folder

    def make(self, note: Note) -> Path:
        """Make the folder, a draft of the note and the link by name; `settle` makes the draft the note.

        Raises HypervisorError when the guest has a folder already. When it fails, nothing of it is left.
        """
        folder = self.path(note.instance)
        link = self._link(note)
        self._guests.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o711)
        except FileExistsError:
            raise HypervisorError(
                f"guest {note.namespace}/{note.name} is there already (instance {note.instance}): destroy it first"
            ) from None
        try:
            self._lead(link, folder)
            self._draft(note)
        except BaseException:
            self.remove(note)
            raise
        return folder

    def settle(self, note: Note) -> None:
        """Make what `make` drafted the note, once there is a guest: that takes no space on the disk any more."""
        folder = self.path(note.instance)
        (folder / _DRAFT).replace(folder / _NOTE)

    def adopt(self, note: Note) -> None:
        """Write down a guest that runs and that nobody knew of; its folder is made unless it is there."""
        folder = self.path(note.instance)
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._lead(self._link(note), folder)
        self.write(note)

    def write(self, note: Note) -> None:
        """Write the note down, whole or not at all. A folder that is gone stays gone."""
        with contextlib.suppress(FileNotFoundError):
            self._draft(note)
            self.settle(note)

    def read_all(self) -> list[Note]:
        """Read all notes. A folder without a readable note is what an interrupted creation left."""
        notes: list[Note] = []
        for path in sorted(self._guests.glob(f"*/{_NOTE}")):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                notes.append(msgspec.json.decode(path.read_bytes(), type=Note))
        return notes

    def remove_unnoted(self, keep: Container[str]) -> None:
        """Remove folders that have no note: what interrupted creations left. Not while guests are being created.

        The folders of instances in `keep` stay: theirs are guests that could not be noted yet.
        """
        for folder in list(self._guests.iterdir()) if self._guests.is_dir() else ():
            if folder.name not in keep and not (folder / _NOTE).exists():
                shutil.rmtree(folder, ignore_errors=True)

    def remove(self, note: Note) -> None:
        """Remove folder and link; missing ones are fine. The link is left when it leads to another instance."""
        link = self._link(note)
        with contextlib.suppress(OSError):
            if link.readlink().name == note.instance:
                link.unlink()
        with contextlib.suppress(OSError):
            _unfinished(link, note.instance).unlink(missing_ok=True)
            link.parent.rmdir()  # fails, rightly, while other guests are in it
        shutil.rmtree(self.path(note.instance), ignore_errors=True)

    def _draft(self, note: Note) -> None:
        (self.path(note.instance) / _DRAFT).write_bytes(msgspec.json.encode(note))

    def _lead(self, link: Path, folder: Path) -> None:
        draft = _unfinished(link, folder.name)
        for left in reversed(range(_TRIES)):
            link.parent.mkdir(parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            try:
                draft.symlink_to(os.path.relpath(folder, link.parent))
            except FileNotFoundError:
                # The last guest of the namespace was removed in between, and the namespace's folder with it.
                if not left:
                    raise
            else:
                break
        draft.replace(link)

    def _link(self, note: Note) -> Path:
        for name in (note.namespace, note.name):
            if not _SAFE.fullmatch(name):
                raise HypervisorError(f"cannot keep files for guest {name!r}: not a plain name")
        return self._names / note.namespace / note.name


def _unfinished(link: Path, instance: str) -> Path:
    """Where a link is until it leads to the instance."""
    return link.with_name(f".{instance}")
