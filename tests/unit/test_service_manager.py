"""What the service manager is told, byte for byte, by path and by abstract name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.service_manager import ServiceManager, service_manager


@contextlib.contextmanager
def listener(address: str) -> Iterator[socket.socket]:
    """What systemd is to a service: a datagram socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        ours.settimeout(10.0)
        yield ours


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Both forms that NOTIFY_SOCKET has."""
    return str(tmp_path / "notify") if request.param == "path" else f"@shoal-test-{os.getpid()}-{id(request)}"


def test_it_is_told_once_that_we_are_ready(address: str) -> None:
    """READY=1 goes with the first status of a process at work; later ones change the status alone."""
    with listener(address) as heard:
        manager = service_manager({"NOTIFY_SOCKET": address})
        manager.status("waiting\nfor NATS")
        manager.ready("standing by")
        manager.ready("leading")
        manager.stopping()
        assert [heard.recv(1000) for _ in range(4)] == [
            b"STATUS=waiting for NATS",
            b"READY=1\nSTATUS=standing by",
            b"STATUS=leading",
            b"STOPPING=1",
        ]


async def test_the_watchdog_hears_us_twice_in_its_time(address: str) -> None:
    """With WATCHDOG_USEC the event loop says WATCHDOG=1 at half that interval, until it ends."""
    with listener(address) as heard:
        heard.setblocking(False)
        loop = asyncio.get_running_loop()
        manager = service_manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"})
        async with asyncio.timeout(10), manager.watched():
            began = loop.time()
            for _ in range(3):
                assert await loop.sock_recv(heard, 100) == b"WATCHDOG=1"
        assert loop.time() - began >= 0.09
        with pytest.raises(BlockingIOError):
            heard.recv(100)


@pytest.mark.parametrize(
    "environ",
    [
        {"WATCHDOG_USEC": "1000"},
        {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon", "WATCHDOG_PID": str(os.getpid())},
        {},
    ],
)
async def test_what_is_not_for_us_is_left_alone(environ: dict[str, str], tmp_path: Path) -> None:
    """A watchdog of another process, one that is no number, and none at all hear nothing; nor do our children."""
    address = str(tmp_path / "notify")
    with listener(address) as heard:
        heard.setblocking(False)
        given = dict(environ)
        if "WATCHDOG_PID" in environ:
            given["NOTIFY_SOCKET"] = address
        async with service_manager(given).watched():
            await asyncio.sleep(0)
        assert given == {}
        with pytest.raises(BlockingIOError):
            heard.recv(100)


@pytest.mark.parametrize("named", ["", "vsock:2:1234", "relative", "/nonexistent/notify"])
def test_where_nobody_listens_nothing_is_said(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No socket, a dead one, and one of a kind that we do not speak are silence: no file of that name is spoken to."""
    monkeypatch.chdir(tmp_path)
    with listener(str(tmp_path / "relative")) as heard, listener(str(tmp_path / "vsock:2:1234")) as other:
        manager = service_manager({"NOTIFY_SOCKET": named})
        manager.ready("leading")
        manager.stopping()
        for ours in (heard, other):
            ours.setblocking(False)
            with pytest.raises(BlockingIOError):
                ours.recv(100)


def test_a_listener_that_comes_back_is_told_again(tmp_path: Path) -> None:
    """A socket that is dead for a while costs what was said meanwhile, and no more."""
    address = str(tmp_path / "notify")
    manager = service_manager({"NOTIFY_SOCKET": address})
    manager.status("unheard")
    with listener(address) as heard:
        manager.status("heard")
        assert heard.recv(100) == b"STATUS=heard"


def test_a_listener_that_does_not_read_holds_nobody_up(tmp_path: Path) -> None:
    """When the listener's queue is full we go on without it; once it reads it hears us again."""
    address = str(tmp_path / "notify")
    with listener(address) as heard:
        manager = ServiceManager(address)
        # net.unix.max_dgram_qlen is 10 by default, and at most some hundreds
        limit = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(limit + 2):
                    other.sendto(b"x", address)
        manager.status("unheard")
        heard.setblocking(False)
        waiting = []
        with contextlib.suppress(BlockingIOError):
            while True:
                waiting.append(heard.recv(100))
        assert set(waiting) == {b"x"}
        manager.status("heard")
        assert heard.recv(100) == b"STATUS=heard"
