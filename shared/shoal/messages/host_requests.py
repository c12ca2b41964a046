"""What the leader asks of one worker that is not state: `shoal.host.<host>.<verb>`, answered by that worker.

This module refuses to know subjects, the bus, and how a host does it. Whatever is to outlive the answer is a record
(`shoal.messages.desired`), not a request.
"""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

import msgspec

from shoal.core.saved_machine import SavedMachine

A_co = TypeVar("A_co", bound=msgspec.Struct, covariant=True)


class HostRequest(msgspec.Struct, Generic[A_co], frozen=True, kw_only=True, omit_defaults=True):
    """A request to one worker: `verb` is the last token of its subject, `answer` the type of what comes back.

    One about a VM names its instance; the worker refuses it for a guest that it does not run.
    """

    verb: ClassVar[str]
    answer: ClassVar[type[msgspec.Struct]]


class Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Content that a worker has put into the file store, for the leader to name; or (no digest) on its own disk.

    `size` in bytes.
    """

    digest: str = ""
    size: int = 0


class Text(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An answer in words."""

    text: str = ""


class RunQMP(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Give a guest's QEMU a command of its machine protocol; `command` and the answer are JSON."""

    verb: ClassVar[str] = "qmp"
    answer: ClassVar[type[msgspec.Struct]] = Text

    instance: str
    command: str


class TakeScreenshot(HostRequest[Content], frozen=True, kw_only=True, omit_defaults=True):
    """Put a guest's screen into the file store as PNG, its longer side at most `longest` pixels (0: as it is)."""

    verb: ClassVar[str] = "screenshot"
    answer: ClassVar[type[msgspec.Struct]] = Content

    instance: str
    label: str = ""
    longest: int = 0
    #: a path on the host instead, which gets the picture itself
    path: str = ""


class SavedContent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a guest was saved to, in the file store: its state, and its disks in order."""

    machine: SavedMachine
    state: Content
    disks: tuple[Content, ...] = ()


class SaveGuest(HostRequest[SavedContent], frozen=True, kw_only=True, omit_defaults=True):
    """Put a guest's memory, devices and disks into the file store. It is paused for it, and goes on if it is to run."""

    verb: ClassVar[str] = "save"
    answer: ClassVar[type[msgspec.Struct]] = SavedContent

    instance: str
    label: str = ""


class Medium(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An image: `path` on the host, or the cluster's file `name` with this `digest` (SHA-256)."""

    path: str = ""
    name: str = ""
    digest: str = ""


class ChangeMedium(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Put an image into a guest's CD-ROM drive, or (None) take the one that is there out."""

    verb: ClassVar[str] = "change-medium"
    answer: ClassVar[type[msgspec.Struct]] = Text

    instance: str
    medium: Medium | None = None
    force: bool = False


class PlugDrive(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Plug an image into a running guest as a USB drive that it can only read. `version` is 1.1 or 2.0."""

    verb: ClassVar[str] = "plug-drive"
    answer: ClassVar[type[msgspec.Struct]] = Text

    instance: str
    medium: Medium
    version: str
    serial: str = ""


class UnplugDrives(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Take a USB drive out of a running guest, or (None) all of them."""

    verb: ClassVar[str] = "unplug-drives"
    answer: ClassVar[type[msgspec.Struct]] = Text

    instance: str
    number: int | None = None


class AttachInterface(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Plug an interface with this MAC address and model into a running guest, on a tap that is there.

    Nothing happens if the guest has it.
    """

    verb: ClassVar[str] = "attach-interface"
    answer: ClassVar[type[msgspec.Struct]] = Text

    instance: str
    tap: str
    mac: str
    driver: str


class Drive(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A USB drive in a guest: `file` as the user knows it."""

    instance: str
    number: int
    file: str
    version: str


class Drives(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """USB drives of guests."""

    items: tuple[Drive, ...] = ()


class ListDrives(HostRequest[Drives], frozen=True, kw_only=True, omit_defaults=True):
    """The USB drives that were plugged into these guests."""

    verb: ClassVar[str] = "list-drives"
    answer: ClassVar[type[msgspec.Struct]] = Drives

    instances: tuple[str, ...]


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a guest's QEMU took during a sample: sizes in bytes, `cpu` and `guest_cpu` in CPUs, rates in bytes/s
    as the guest sees them. `cpu_s` is all the time that it has had.
    """

    instance: str
    virtual: int = 0
    resident: int = 0
    shared: int = 0
    cpu: float = 0.0
    guest_cpu: float = 0.0
    cpu_s: float = 0.0
    processes: int = 1
    rx_bytes_s: float = 0.0
    tx_bytes_s: float = 0.0


class Usages(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What guests took."""

    items: tuple[Usage, ...] = ()


class MeasureGuests(HostRequest[Usages], frozen=True, kw_only=True, omit_defaults=True):
    """Measure what these guests take, over `duration_s` seconds."""

    verb: ClassVar[str] = "measure"
    answer: ClassVar[type[msgspec.Struct]] = Usages

    instances: tuple[str, ...]
    duration_s: float = 1.0


class RunProgram(HostRequest[Text], frozen=True, kw_only=True, omit_defaults=True):
    """Run a program of the host, where its worker's settings allow it, and answer with what it prints."""

    verb: ClassVar[str] = "run-program"
    answer: ClassVar[type[msgspec.Struct]] = Text

    program: tuple[str, ...]


class OfferFile(HostRequest[Content], frozen=True, kw_only=True, omit_defaults=True):
    """Put a file of the host's files directory into the file store; no digest: there is none of that name."""

    verb: ClassVar[str] = "offer-file"
    answer: ClassVar[type[msgspec.Struct]] = Content

    name: str
