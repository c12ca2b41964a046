"""What libvirt's errors are taken for, above all when it is not there."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("libvirt")

import libvirt

from shoal_worker.hypervisor import HypervisorBusy, HypervisorError
from shoal_worker.libvirt_domains import Domains, one_line

URI = "qemu:///system"


def error(code: int, domain: int, text: str = "words") -> Exception:
    """An error as libvirt's binding makes it."""
    made = libvirt.libvirtError(text)
    made.err = (code, domain, text, 2, "", None, None, -1, -1)
    made.args = (text,)  # the binding prefers the last error of this thread
    assert isinstance(made, Exception)
    return made


class Connection:
    """Lists no domains; may be broken."""

    def __init__(self, *, alive: bool) -> None:
        self.alive = alive

    def isAlive(self) -> int:  # noqa: N802 - libvirt's name
        return int(self.alive)

    def listAllDomains(self, _flags: int) -> list[object]:  # noqa: N802
        return []

    def domainEventRegisterAny(self, *_: object) -> int:  # noqa: N802
        return 1

    def getVersion(self) -> int:  # noqa: N802
        return 7_002_000

    getLibVersion = getVersion  # noqa: N815


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        yield Path(folder, "sock")


def test_without_a_connection_it_is_for_later() -> None:
    """What is asked for while libvirt is being connected to again is tried again, and fails nobody."""
    domains = Domains(URI, lambda _: None)
    with pytest.raises(HypervisorBusy, match="not open"):
        domains.create("<domain/>", "cannot create guest red/vm1")
    with pytest.raises(HypervisorBusy, match="not open"):
        domains.resume("u", "i1")


def test_a_socket_that_is_not_there_or_breaks_is_for_later(path: Path) -> None:
    """That is what libvirt itself says when its daemon is away, or ends while it is spoken to."""
    libvirt.registerErrorHandler(lambda *_: None, None)
    with pytest.raises(HypervisorBusy, match="cannot: Failed to connect socket"), one_line("cannot"):
        libvirt.open(f"qemu+unix:///system?socket={path}")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def hang_up() -> None:
            guest, _ = door.accept()
            guest.close()

        ending = threading.Thread(target=hang_up)
        ending.start()
        with pytest.raises(HypervisorBusy), one_line("cannot"):
            libvirt.open(f"qemu+unix:///system?socket={path}")
        ending.join()


@pytest.mark.parametrize(
    ("code", "domain"),
    [
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC),  # client socket is closed
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_REMOTE),
        (libvirt.VIR_ERR_RPC, libvirt.VIR_FROM_NONE),
        (libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_FROM_NONE),
        (libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_FROM_NONE),
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_FROM_QEMU),  # cannot acquire state change lock
    ],
)
def test_what_nobody_has_decided_is_for_later(code: int, domain: int) -> None:
    """It says nothing of the guest."""
    with pytest.raises(HypervisorBusy, match="cannot: words"), one_line("cannot"):
        raise error(code, domain)


@pytest.mark.parametrize(
    ("code", "domain"),
    [
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_QEMU),  # no such file, no space left on device
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_QEMU),  # QEMU's own last words
        (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_FROM_QEMU),
        (libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_FROM_REMOTE),
    ],
)
def test_what_the_driver_refuses_is_for_good(code: int, domain: int) -> None:
    """The same numbers from the driver itself are about the guest, and trying again would not help."""
    with pytest.raises(HypervisorError, match="cannot: words") as raised, one_line("cannot"):
        raise error(code, domain)
    assert not isinstance(raised.value, HypervisorBusy)


def test_a_daemon_that_is_away_for_long_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each listing tries to connect again: one that failed does not leave the worker without a connection for good."""
    answers: list[Any] = [error(libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC), Connection(alive=True)]

    def connect(_uri: str) -> Connection:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Connection)
        return answer

    monkeypatch.setattr(libvirt, "open", connect)
    domains = Domains(URI, lambda _: None)
    domains._events = threading.Thread()  # type: ignore[assignment] # no events here
    domains._connection = Connection(alive=False)  # type: ignore[assignment]
    with pytest.raises(HypervisorBusy, match="cannot open the hypervisor"):
        domains.active()
    assert domains.active() == []
    assert domains.active() == []
