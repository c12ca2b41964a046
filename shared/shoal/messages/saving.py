"""Commands that save VMs, and a whole namespace, so that they can go on later from where they were."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Reply, Request, Table


class SavedFiles(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What something was saved to: files of the cluster. `size` in bytes, of all together."""

    files: tuple[str, ...] = ()
    size: int = 0


class SaveVM(Request[SavedFiles], frozen=True, kw_only=True, omit_defaults=True):
    """Save a VM, with its memory and its disks, into the cluster's files.

    Memory and devices become `FILE.state`, the disks `FILE.hdd`, `FILE.hdd.1` and so on. FILE is `saved/VM` unless it
    is given. What an earlier `vm save` of the same VM has put there is replaced; other files are not, and the command
    is refused. The VM is paused for it and goes on afterwards. To go on from what was saved, with the same or another
    name and on any host, configure a VM as the saved one was, with `vm config state FILE.state` and
    `vm config disks FILE.hdd`; its networks keep their MAC addresses.

    Example: vm save web1 before-upgrade/web1
    """

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "save"
    words: ClassVar[tuple[str, ...]] = ("vm save <vm> [file]",)
    reply: ClassVar[type[Reply]] = SavedFiles

    vm: str
    file: str = ""


class SaveRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far the saving of one VM is: `active`, `completed` or `failed`; `complete` in percent of its memory."""

    id: int
    name: str
    status: str
    complete: float = 0.0


class Saves(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The last saving of each VM."""

    items: tuple[SaveRow, ...] = ()

    def display(self) -> Display:
        """Show `id | name | status | complete (%)`."""
        return Table(
            columns=("id", "name", "status", "complete (%)"),
            rows=tuple((row.id, row.name, row.status, f"{row.complete:.2f}") for row in self.items),
        )


class ListSaves(Request[Saves], frozen=True, kw_only=True, omit_defaults=True):
    """Show how far the saving of VMs is: of those that are being saved, and of those that were."""

    noun: ClassVar[str] = "vm"
    verb: ClassVar[str] = "list-saves"
    words: ClassVar[tuple[str, ...]] = ("vm save",)
    reply: ClassVar[type[Reply]] = Saves
    reads: ClassVar[bool] = True


class SaveNamespace(Request[SavedFiles], frozen=True, kw_only=True, omit_defaults=True):
    """Save all VMs of the namespace into the directory `saved/NAME` of the cluster's files, and how to launch them again.

    All are paused first, so that they are saved as of one moment, and those that were running go on at the end. Nothing
    has a name before everything is there. `file get saved/NAME/launch.mm` and `read launch.mm` launch the VMs again.

    Example: ns save monday
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "save"
    words: ClassVar[tuple[str, ...]] = ("ns save <name>",)
    reply: ClassVar[type[Reply]] = SavedFiles

    name: str


class SaveProgress(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """How many VMs of the last `ns save` are saved, of how many; `failed` tells why it came to nothing."""

    completed: int = 0
    total: int = 0
    failed: str = ""

    def display(self) -> Display:
        """Show `completed | total`."""
        return Table(columns=("completed", "total"), rows=((self.completed, self.total),))


class ShowSave(Request[SaveProgress], frozen=True, kw_only=True, omit_defaults=True):
    """Show how far `ns save` is: how many VMs are saved, of how many."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "show-save"
    words: ClassVar[tuple[str, ...]] = ("ns save",)
    reply: ClassVar[type[Reply]] = SaveProgress
    reads: ClassVar[bool] = True
