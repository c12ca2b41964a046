"""Speaks to libvirt: lists, creates, resumes, pauses and ends domains, and passes lifecycle events on.

Everything here blocks, and is to be called on threads of `deadline_pool`. Beside `libvirt_devices` this is the only
module that imports libvirt. It refuses to know the event loop, guests' folders and what a missing domain means to
the user.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from shoal.messages.desired import Load
from shoal_worker.core.domain_xml import METADATA_URI, Identity, read_identity, read_load
from shoal_worker.core.ledger import Happened, Seen
from shoal_worker.hypervisor import GuestState, HypervisorBusy, HypervisorError

# libvirt reads this once, when it is imported, and would else warn on stderr of every guest that runs as root.
os.environ.setdefault("LIBVIRT_LOG_FILTERS", "4:qemu 4:security")

import libvirt

_STATES: dict[int, tuple[GuestState, str]] = {
    libvirt.VIR_DOMAIN_NOSTATE: ("paused", ""),
    libvirt.VIR_DOMAIN_RUNNING: ("running", ""),
    libvirt.VIR_DOMAIN_BLOCKED: ("running", ""),
    libvirt.VIR_DOMAIN_PAUSED: ("paused", ""),
    libvirt.VIR_DOMAIN_SHUTDOWN: ("running", ""),
    libvirt.VIR_DOMAIN_SHUTOFF: ("shutoff", ""),
    libvirt.VIR_DOMAIN_CRASHED: ("failed", "the guest crashed"),
    libvirt.VIR_DOMAIN_PMSUSPENDED: ("paused", "the guest sleeps"),
}
_PAUSES = {
    libvirt.VIR_DOMAIN_PAUSED_IOERROR: "paused by QEMU after a disk error",
    libvirt.VIR_DOMAIN_PAUSED_WATCHDOG: "paused by the guest's watchdog",
    libvirt.VIR_DOMAIN_PAUSED_CRASHED: "the guest crashed",
}
_NO_SPACE = "paused by QEMU: no space is left on the host's disk for what the guest writes; make room there, and start it"
_ENDINGS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "destroyed by somebody else",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "the guest crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: "migrated away by somebody else",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved by somebody else",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "QEMU died",
}
#: libvirt could not be reached, or another job of it holds the guest, whoever tells it
_LATER = (
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_OPERATION_TIMEOUT,
)
#: the same, when the client's side tells it; from the driver these are about files, interfaces and QEMU
_BROKEN = (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_ERR_INTERNAL_ERROR)
_CLIENT = (libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE)
#: QEMU's and libvirt's own stamps at the start of a line of the log, or in the middle of an error
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d):? ")
#: lines of the log that explain nothing
_ROUTINE = re.compile(r"terminating on signal 15|is tainted: |\\$|^-")
#: a wrong document comes back whole in libvirt's error
_LONGEST_REASON = 300
_SHUT_DOWN = re.compile(r": shutting down, reason=(\w+)")


class _Event(threading.Thread):
    """Turns libvirt's default event loop, of which a process has one for ever, while a connection is open."""

    def __init__(self) -> None:
        super().__init__(name="libvirt-events", daemon=True)
        self._ending = False

    def run(self) -> None:
        # Without a timer the loop would sleep for ever, and never see that it should end.
        timer = libvirt.virEventAddTimeout(200, lambda *_: None, None)
        while not self._ending:
            libvirt.virEventRunDefaultImpl()
        libvirt.virEventRemoveTimeout(timer)

    def end(self) -> None:
        self._ending = True
        self.join()


class Domains:
    """A connection. Errors of libvirt come out as HypervisorError with one line of text; as HypervisorBusy when it
    could not be reached, went away while it was asked, or had something else to do with the guest.
    """

    def __init__(self, uri: str, happened: Callable[[Happened], None]) -> None:
        self._uri = uri
        self._happened = happened
        self._connection: libvirt.virConnect | None = None
        self._callback = -1
        self._events: _Event | None = None
        # What a domain is does not change while it has the same number: read it once.
        self._facts: dict[tuple[str, int], tuple[Identity | None, Load]] = {}
        root = parse_qs(urlsplit(uri).query).get("root", [""])[0]
        self._run = Path(root, "run/qemu") if root else Path("/run/libvirt/qemu")
        self._log = Path(root, "log/qemu") if root else Path("/var/log/libvirt/qemu")

    def open(self) -> str:
        """Connect; return the versions of QEMU and libvirt as text. The first time may take 15 s: QEMU is probed."""
        libvirt.registerErrorHandler(lambda *_: None, None)  # else every error is printed on stderr as well
        if self._events is None:
            libvirt.virEventRegisterDefaultImpl()
            self._events = _Event()
            self._events.start()
        with one_line(f"cannot open the hypervisor {self._uri}"):
            connection = libvirt.open(self._uri)
            self._callback = connection.domainEventRegisterAny(
                None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_lifecycle, None
            )
            self._connection = connection
            return f"QEMU {_version(connection.getVersion())}, libvirt {_version(connection.getLibVersion())}"

    def close(self) -> None:
        """Disconnect; domains run on."""
        if self._connection is not None:
            with contextlib.suppress(libvirt.libvirtError):
                self._connection.domainEventDeregisterAny(self._callback)
                self._connection.close()
            self._connection = None
        if self._events is not None:
            self._events.end()
            self._events = None

    def active(self) -> list[Seen]:
        """List active domains; one that vanishes while we look is left out. Connects again when that broke."""
        connection = self.connected()
        with one_line("cannot list the domains"):
            if not connection.isAlive():
                self.open()  # if that fails the dead one stays, and the next listing tries again
                connection = self.connected()
            found = [seen for domain in connection.listAllDomains(0) if (seen := self._look(domain))]
        present = {uuid for uuid, _ in self._facts} & {seen.uuid for seen in found}
        self._facts = {key: fact for key, fact in self._facts.items() if key[0] in present}
        return found

    def create(self, xml: str, purpose: str) -> int:
        """Start a transient domain, its processors stopped, and return QEMU's pid. QEMU's reason is in the error."""
        with one_line(purpose):
            domain = self.connected().createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)
            return self._pid(domain.name())

    def restore(self, image: str, name: str, purpose: str) -> int:
        """Let the transient domain `name` go on from a saved image, its processors stopped, and return QEMU's pid."""
        with one_line(purpose):
            self.connected().restoreFlags(image, None, libvirt.VIR_DOMAIN_SAVE_PAUSED)
            return self._pid(name)

    def resume(self, uuid: str, instance: str) -> None:
        """Start the processors. A domain that runs already, or is gone, is fine."""
        with one_line("cannot resume the guest"), _unless_gone():
            domain = self.find(uuid, instance)
            try:
                domain.resume()
            except libvirt.libvirtError:
                if _state(domain)[0] != libvirt.VIR_DOMAIN_RUNNING:
                    raise

    def suspend(self, uuid: str, instance: str) -> None:
        """Stop the processors. A domain that is stopped already, or is gone, is fine."""
        with one_line("cannot pause the guest"), _unless_gone():
            domain = self.find(uuid, instance)
            if _state(domain)[0] != libvirt.VIR_DOMAIN_PAUSED:
                domain.suspend()

    def destroy(self, uuid: str, instance: str) -> None:
        """End the domain at once; one that is gone is fine."""
        with one_line("cannot end the guest"), _unless_gone():
            self.find(uuid, instance).destroy()

    def is_there(self, uuid: str, instance: str) -> bool:
        """Whether there is such a domain, if only just being started."""
        with one_line("cannot look for the guest"):
            try:
                self.find(uuid, instance)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                return False
            return True

    def obituary(self, name: str) -> tuple[str, str]:
        """What the log of the last domain of that name tells: libvirt's word for its end, and QEMU's last words.

        The word is `shutdown` (by the guest itself), `crashed`, `destroyed`, …; both may be empty.
        """
        try:
            lines = (self._log / f"{name}.log").read_bytes()[-8192:].decode(errors="replace").splitlines()
        except OSError:
            return "", ""
        word = ""
        for line in reversed(lines):
            if ": starting up" in line:
                break  # what stands before is of an earlier domain of this name
            if match := _SHUT_DOWN.search(line):
                word = match[1]
            elif line.strip() and not _ROUTINE.search(line):
                return word, _STAMP.sub("", line).strip()[:_LONGEST_REASON]
        return word, ""

    def connected(self) -> libvirt.virConnect:
        """The connection. HypervisorBusy while there is none."""
        if self._connection is None:
            raise HypervisorBusy(f"the hypervisor {self._uri} is not open")
        return self._connection

    def find(self, uuid: str, instance: str) -> libvirt.virDomain:
        """Look the domain up, and make sure that it is the one: a UUID may come back, an instance never does."""
        domain = self.connected().lookupByUUIDString(uuid)
        identity = _identity(domain)
        if identity is None or identity.instance != instance:
            raise HypervisorError(f"the domain with UUID {uuid} is not guest instance {instance}: left alone")
        return domain

    def _look(self, domain: libvirt.virDomain) -> Seen | None:
        try:
            uuid, name, number = domain.UUIDString(), domain.name(), domain.ID()
            state, why = _state(domain)
            if number < 0:
                return None
            if (uuid, number) not in self._facts:
                self._facts[uuid, number] = (_identity(domain), read_load(domain.XMLDesc(0)))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise
        identity, load = self._facts[uuid, number]
        known, reason = _STATES.get(state, ("paused", ""))
        if state == libvirt.VIR_DOMAIN_PAUSED:
            reason = _NO_SPACE if _lacks_space(domain, why) else _PAUSES.get(why, "")
        pid = self._pid(name) if identity else 0
        return Seen(uuid=uuid, name=name, identity=identity, load=load, state=known, reason=reason, pid=pid)

    def _pid(self, name: str) -> int:
        try:
            return int((self._run / f"{name}.pid").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def _on_lifecycle(
        self, _conn: object, domain: libvirt.virDomain, event: int, detail: int, _: object
    ) -> None:
        ended = event == libvirt.VIR_DOMAIN_EVENT_STOPPED
        reason = _ENDINGS.get(detail, "") if ended else ""
        self._happened(Happened(uuid=domain.UUIDString(), ended=ended, reason=reason))


def _identity(domain: libvirt.virDomain) -> Identity | None:
    try:
        return read_identity(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, METADATA_URI))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return None
        raise


def _state(domain: libvirt.virDomain) -> tuple[int, int]:
    """The state and its reason as numbers; libvirt's own annotation says text."""
    answer: Any = domain.state()
    return int(answer[0]), int(answer[1])


def _lacks_space(domain: libvirt.virDomain, why: int) -> bool:
    """Whether a paused domain could not write because the space had ended."""
    if why != libvirt.VIR_DOMAIN_PAUSED_IOERROR:
        return False
    try:
        errors: Any = domain.diskErrors()
    except (
        libvirt.libvirtError
    ):  # it has ended, or does not answer: the listing tells what else there is to know
        return False
    return libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in errors.values()


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


@contextlib.contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise


@contextlib.contextmanager
def one_line(purpose: str) -> Iterator[None]:
    """Turn libvirt's error into a HypervisorError of one line that begins with `purpose`; see `Domains`."""
    try:
        yield
    except libvirt.libvirtError as error:
        text = "; ".join(_STAMP.sub("", line).strip() for line in str(error).splitlines() if line.strip())
        kind = HypervisorBusy if _is_for_later(error) else HypervisorError
        raise kind(f"{purpose}: {text[:_LONGEST_REASON]}") from error


def _is_for_later(error: libvirt.libvirtError) -> bool:
    """Whether nothing was decided: what was asked for may have been done, or may be done later."""
    code, teller = error.get_error_code(), error.get_error_domain()
    return code in _LATER or (teller in _CLIENT and code in _BROKEN)
