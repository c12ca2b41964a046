"""Runs guests with QEMU through libvirt: the real thing behind the Protocol `Hypervisor`.

Calls block on a few threads with a deadline each, never on the event loop; `core.ledger` keeps the account of
guests, since transient domains are forgotten by libvirt when they die.
This module refuses to know NATS, desired records and how taps are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from shoal_worker import disk_images, embedded_root, restoring
from shoal_worker.accelerator import EMULATOR, Accelerator
from shoal_worker.core.domain_xml import Disk, Layer, Surroundings, domain_name, domain_xml
from shoal_worker.core.ledger import Happened, Ledger, Note
from shoal_worker.deadline_pool import DeadlinePool
from shoal_worker.disk_room import is_full, lack
from shoal_worker.file_cache import FILES
from shoal_worker.guest_folders import GuestFolders
from shoal_worker.hypervisor import Facts, GuestSpec, HypervisorBusy, HypervisorError, Survey
from shoal_worker.libvirt_access import LibvirtAccess
from shoal_worker.libvirt_devices import Devices
from shoal_worker.libvirt_domains import Domains
from shoal_worker.libvirt_saving import LibvirtSaving
from shoal_worker.qemu_reaper import QemuReaper, become_subreaper

#: libvirt looks this user up when the embedded driver starts, whatever its configuration says
_DRIVER_USER = "libvirt-qemu"
_THREADS = 8
#: seconds; opening and creating may be slow where QEMU is probed for the first time, or a host is busy under TCG
_OPEN_S, _SURVEY_S, _CREATE_S, _CALL_S, _DESTROY_S = 180.0, 20.0, 120.0, 20.0, 60.0
#: reading a saved state: all of the guest's memory
_RESTORE_S = 1800.0
#: how often to look again while guests are missing right after opening
_SETTLE_S = 0.2


class LibvirtHypervisor:
    """Guests of one worker. `state` (absolute) takes their folders and the embedded driver's root.

    `uri` is `embed` for the embedded driver in `state`, or a URI of libvirt's (`qemu:///system`). `cache` is shared
    by the workers of this machine. `host` is named in errors. A process can have one embedded root in its life.
    """

    def __init__(
        self,
        state: Path,
        *,
        host: str,
        accelerator: Accelerator,
        cache: Path,
        uri: str = "embed",
        allow_qemu_append: bool = False,
    ) -> None:
        self._root = state / "libvirt" if uri == "embed" else None
        self._host = host
        self._accelerator = accelerator
        self._cache = cache
        self._allow_qemu_append = allow_qemu_append
        self._folders = GuestFolders(state)
        #: the cluster's files on this host: no image among them may lead to another
        self._files = state / FILES
        self._pool = DeadlinePool(_THREADS, "hypervisor")
        self._domains = Domains(
            f"qemu:///embed?root={self._root}" if self._root else uri, self._on_loop(self._on_event)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reaper: QemuReaper | None = None
        self._surveying = asyncio.Lock()
        # These two belong to the event loop's thread.
        self._ledger = Ledger()
        #: what is still to be written down of guests, by instance
        self._unnoted: dict[str, Callable[[], None]] = {}
        self._changed: list[Callable[[], None]] = []
        #: the guests beyond their life and death
        devices = Devices(self._domains)
        saving = LibvirtSaving(self._pool, devices, self._folders, accelerator.kind)
        self.access = LibvirtAccess(self._pool, devices, self._ledger, saving)

    async def open(self) -> Facts:
        """Connect, adopting what runs; see the Protocol. The first time on a machine it takes 15 s or more."""
        self._loop = asyncio.get_running_loop()
        version, notes = await self._pool.call("opening the hypervisor", self._open, _OPEN_S)
        for note in notes:
            self._ledger.add(note, self._loop.time())
        survey = await self.survey()
        while self._ledger.undecided():
            await asyncio.sleep(_SETTLE_S)
            survey = await self.survey()
        known = {guest.instance for guest in survey.guests}
        await self._pool.call("removing leftovers", partial(self._folders.remove_unnoted, known), _CALL_S)
        return Facts(accelerator=self._accelerator.kind, version=version, warnings=self._accelerator.warnings)

    async def survey(self) -> Survey:
        """List guests of ours, dead ones too, and sum up everybody else's domains."""
        async with self._surveying:
            asked = asyncio.get_running_loop().time()
            found = await self._pool.call("listing the domains", self._domains.active, _SURVEY_S)
            adopted = self._ledger.see(found, asked)
            for note in adopted:
                self._unnoted[note.instance] = partial(self._folders.adopt, note)
            await self._write_notes()
            survey = self._ledger.survey()
            if self._reaper is not None:
                for guest in survey.guests:
                    if guest.pid:
                        self._reaper.watch(guest.pid)
            ends = self._ledger.unwritten()
            overdue = self._ledger.overdue(asked)
            if not ends and not overdue:
                return survey
            for note in overdue:
                await self._settle(note)
            for note in ends or self._ledger.unwritten():
                await self._explain(note)
            await self._write_notes()
            return self._ledger.survey()

    async def create(self, spec: GuestSpec) -> None:
        """Create the guest, paused, unless it lives; when that fails for good nothing of it is left."""
        who = f"{spec.namespace}/{spec.name}"
        if earlier := self._ledger.note(spec.instance):
            if earlier.ended:
                raise HypervisorError(
                    f"guest {who} is there already (instance {spec.instance}), and has ended: destroy it first"
                )
            return  # an earlier creation took too long, and came to its end
        if not self._ledger.begin_creating(spec.instance):
            raise HypervisorBusy(f"creating guest {who} is still going on")
        note, pid = await self._pool.call(
            f"creating guest {who}",
            partial(self._create, spec),
            _RESTORE_S if spec.config.state else _CREATE_S,
            settled=partial(self._ledger.end_creating, spec.instance),
        )
        self._ledger.add(note, asyncio.get_running_loop().time(), pid=pid)
        if self._reaper is not None:
            self._reaper.watch(pid)
        self._tell()

    async def resume(self, instance: str) -> None:
        """Let the guest run."""
        if note := self._ledger.note(instance):
            resume = partial(self._domains.resume, note.uuid, instance)
            await self._pool.call(f"resuming guest {_who(note)}", resume, _CALL_S)
            self._tell()

    async def pause(self, instance: str) -> None:
        """Stop the guest's CPUs."""
        if note := self._ledger.note(instance):
            suspend = partial(self._domains.suspend, note.uuid, instance)
            await self._pool.call(f"pausing guest {_who(note)}", suspend, _CALL_S)
            self._tell()

    async def destroy(self, instance: str) -> None:
        """End the guest at once and forget it, together with its folder."""
        note = self._ledger.note(instance)
        if note is None:
            return
        self._ledger.begin_leaving(instance)
        try:
            await self._pool.call(f"ending guest {_who(note)}", partial(self._destroy, note), _DESTROY_S)
        except BaseException:
            self._ledger.stay(instance)
            raise
        self._ledger.forget(instance, asyncio.get_running_loop().time())
        self._unnoted.pop(instance, None)
        self._tell()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed`, on the event loop, whenever a survey would show something new."""
        self._changed.append(changed)

    async def close(self) -> None:
        """Let go of the connection. Guests run on."""
        self._changed.clear()
        await self._pool.call("closing the hypervisor", self._close, _CALL_S)
        self._pool.close()

    # On the event loop's thread.

    def _tell(self) -> None:
        for changed in self._changed:
            changed()

    def _on_loop(self, function: Callable[..., None]) -> Callable[..., None]:
        """Wrap a function of the event loop's thread, for libvirt's and the reaper's threads to call."""

        def hand_over(*arguments: object) -> None:
            # A loop that was closed has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(function, *arguments)

        return hand_over

    def _on_event(self, happened: Happened) -> None:
        self._ledger.happened(happened)
        self._tell()

    def _on_death(self, pid: int, status: int | None) -> None:
        if status is not None:
            self._ledger.died(pid, _how(status))
        self._tell()

    async def _settle(self, note: Note) -> None:
        """Find out how a guest ended that nobody saw ending."""
        ask = partial(self._domains.obituary, domain_name(note.namespace, note.name))
        word, _ = await self._pool.call("reading QEMU's log", ask, _CALL_S)
        if word == "shutdown":
            self._ledger.end_unseen(note.instance, "shutoff", "")
        else:
            seen = f" (libvirt: {word})" if word else ""
            self._ledger.end_unseen(note.instance, "failed", f"QEMU ended while no worker watched it{seen}")

    async def _explain(self, note: Note) -> None:
        """Add QEMU's last words to the reason, and write it down."""
        ask = partial(self._domains.obituary, domain_name(note.namespace, note.name))
        _, words = await self._pool.call("reading QEMU's log", ask, _CALL_S)
        if final := self._ledger.explain(note.instance, words):
            self._unnoted[note.instance] = partial(self._folders.write, final)

    async def _write_notes(self) -> None:
        """Write down what is to be noted of guests; what cannot be, as on a full disk, the next survey tries again.

        Nothing is said of that here: the journal is on the same disk, and says it.
        """
        for instance, write in list(self._unnoted.items()):
            with contextlib.suppress(OSError):
                await self._pool.call("noting a guest", write, _CALL_S)
                self._unnoted.pop(instance, None)

    # On threads of the pool.

    def _open(self) -> tuple[str, list[Note]]:
        self._emulator = shutil.which(EMULATOR)
        if self._emulator is None:
            raise HypervisorError(
                f"no program {EMULATOR} on host {self._host}: install QEMU (qemu-system-x86)"
            )
        if self._root is not None:
            try:
                pwd.getpwnam(_DRIVER_USER)
                embedded_root.prepare(self._root, self._cache)
            except KeyError:
                raise HypervisorError(
                    f"no user {_DRIVER_USER} on host {self._host}: useradd --system --user-group {_DRIVER_USER}"
                ) from None
            except OSError as error:
                raise HypervisorError(f"cannot prepare the folder {self._root}: {error.strerror}") from error
        version = self._domains.open()
        if self._root is not None:
            embedded_root.share_probe(self._root, self._cache)
            # Not earlier: the QEMUs of libvirt's own probe should find another parent.
            if self._reaper is None and become_subreaper():
                self._reaper = QemuReaper(self._on_loop(self._on_death))
        return version, self._folders.read_all()

    def _close(self) -> None:
        self._domains.close()
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None

    def _create(self, spec: GuestSpec) -> tuple[Note, int]:
        purpose = f"cannot create guest {spec.namespace}/{spec.name}"
        self._check(spec, purpose)
        self._check_room(spec, purpose)
        note = Note(
            namespace=spec.namespace,
            name=spec.name,
            instance=spec.instance,
            revision=spec.revision,
            uuid=spec.uuid.lower(),
        )
        with self._telling(purpose):
            self._clear(note, purpose)
            folder = self._folders.make(note)
            try:
                pid = self._start(spec, folder, purpose)
                self._folders.settle(note)
            except HypervisorBusy:
                raise  # QEMU may have been started, and these are its files
            except BaseException:
                self._folders.remove(note)
                raise
        return note, pid

    def _clear(self, note: Note, purpose: str) -> None:
        """Remove what is left of a creation whose end nobody saw; HypervisorBusy when its guest came to be."""
        if not self._folders.path(note.instance).exists():
            return
        if self._domains.is_there(note.uuid, note.instance):
            raise HypervisorBusy(f"{purpose}: it is there already, and is taken up when guests are listed")
        self._folders.remove(note)

    @contextlib.contextmanager
    def _telling(self, purpose: str) -> Iterator[None]:
        """Have what fails say what it was for and on which host, and that the disk is full where that is why."""
        try:
            yield
        except (OSError, HypervisorError) as error:
            if is_full(error):
                reason = str(error).removeprefix(f"{purpose}: ")
                raise HypervisorError(
                    f"{purpose}: the disk of host {self._host} is full: {reason}"
                ) from error
            if isinstance(error, OSError):
                raise HypervisorError(f"{purpose} on host {self._host}: {error}") from error
            raise

    def _start(self, spec: GuestSpec, folder: Path, purpose: str) -> int:
        """Start QEMU, paused; returns its pid."""
        kind, state = self._accelerator.kind, spec.config.state
        around = Surroundings(
            accelerator=kind,
            emulator=str(self._emulator),
            folder=str(folder),
            disks=self._disks(spec, folder),
            drive=bool(state) and restoring.read_machine(spec, kind).cdrom,
        )
        xml = domain_xml(spec, around)
        with self._reaper.creating() if self._reaper else contextlib.nullcontext():
            if state:
                return self._restore(spec, folder / "image", xml, purpose)
            return self._domains.create(xml, purpose)

    def _restore(self, spec: GuestSpec, image: Path, xml: str, purpose: str) -> int:
        """Let the guest go on from a state, paused. The file that libvirt reads is gone when it has."""
        name = domain_name(spec.namespace, spec.name)
        restoring.write_image(Path(spec.config.state), image, xml)
        try:
            return self._domains.restore(str(image), name, purpose)
        finally:
            image.unlink(missing_ok=True)

    def _check(self, spec: GuestSpec, purpose: str) -> None:
        config = spec.config
        if config.qemu_append and not self._allow_qemu_append:
            raise HypervisorError(f"{purpose}: qemu-append is not allowed on host {self._host}")
        files = [("kernel", config.kernel), ("initrd", config.initrd), ("cdrom", config.cdrom)]
        files.append(("state", config.state))
        files += [("disk", disk.path) for disk in config.disks]
        for role, path in files:
            if path and not path.startswith("/"):
                raise HypervisorError(f"{purpose}: {role} {path} is not an absolute path")
            if path and not os.path.isfile(path):  # noqa: PTH113 - on a user's text, as it is
                raise HypervisorError(f"{purpose}: {role} {path} does not exist on host {self._host}")

    def _check_room(self, spec: GuestSpec, purpose: str) -> None:
        """Refuse a guest for which a full disk has no room, before anything of it is made."""
        # of a saved state a copy is made; overlays begin as little more than a header
        size = Path(spec.config.state).stat().st_size if spec.config.state else 0
        if missing := lack(self._folders.place, size):
            raise HypervisorError(
                f"{purpose}: the disk of host {self._host} is full: {missing}; make room there"
            )

    def _disks(self, spec: GuestSpec, folder: Path) -> tuple[Disk, ...]:
        disks: list[Disk] = []
        for number, wanted in enumerate(spec.config.disks):
            alone = Path(wanted.path).parent == self._files
            chain = disk_images.inspect(wanted.path, alone=alone)
            cache = wanted.cache
            if spec.config.snapshot:
                overlay = folder / f"disk{number}.qcow2"
                disk_images.make_overlay(chain[0], overlay)
                chain = (Layer(str(overlay), "qcow2"), *chain)
                # The overlay is thrown away with the guest: nothing in it needs to survive the host.
                cache = cache or "unsafe"
            disks.append(Disk(chain=chain, driver=wanted.driver, cache=cache))
        return tuple(disks)

    def _destroy(self, note: Note) -> None:
        self._domains.destroy(note.uuid, note.instance)
        self._folders.remove(note)


def _who(note: Note) -> str:
    return f"{note.namespace}/{note.name}"


def _how(status: int) -> str:
    """Tell a wait status (wait(2)) in words."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in signal.valid_signals() else "unknown"
        return f"killed by signal {number} ({name})"
    return f"ended with status {os.waitstatus_to_exitcode(status)}"
