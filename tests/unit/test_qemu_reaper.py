"""Whose child a process is, and how detached ones are reaped."""

from __future__ import annotations

import ctypes
import os
import queue
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.waiting import wait_until

from shoal_worker.qemu_reaper import QemuReaper, is_detached_qemu

STAT = "{pid} ({name}) Z 1 {pid} {session} 0 -1 4194560 0"


@pytest.mark.parametrize(
    ("name", "session", "detached"),
    [
        ("qemu-system-x86", 77, True),
        ("qemu-system-x86", 50, False),  # our session: a child that we started ourselves
        ("qemu-system-x86", 99, False),  # its own session: a child started with start_new_session
        ("qemu-img", 77, False),
        ("python3", 77, False),
        ("a) (qemu-system", 77, False),
    ],
)
def test_is_detached_qemu(name: str, session: int, detached: bool) -> None:
    """Only a QEMU whose session is neither ours nor its own was detached by libvirt."""
    assert is_detached_qemu(STAT.format(pid=99, name=name, session=session), 99, 50) == detached


#: as libvirt does it: a process in between starts a session and vanishes; prints the pid of what it left behind
DETACH = """
import os, sys
os.setsid()
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Make the test's process a subreaper and undo it, since the attribute is the process's."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(36, 1, 0, 0, 0) == 0
    yield
    assert prctl(36, 0, 0, 0, 0) == 0


@pytest.mark.usefixtures("subreaper")
def test_detached_process_is_reaped_with_its_status(tmp_path: Path) -> None:
    """A QEMU that was found while creating is reaped when it ends, and its wait status told; children are not."""
    program = tmp_path / "qemu-system-fake"
    shutil.copy("/bin/sleep", program)
    ends: queue.Queue[tuple[int, int | None]] = queue.Queue()
    reaper = QemuReaper(lambda pid, status: ends.put((pid, status)))
    own = subprocess.Popen([program, "0"])
    try:
        with reaper.creating():
            pids = [
                int(subprocess.check_output([sys.executable, "-c", DETACH, str(program), duration]))
                for duration in ("0", "600")
            ]
            assert ends.get(timeout=10) == (pids[0], 0)
            name = Path(f"/proc/{pids[1]}/comm")
            wait_until(lambda: name.read_text().strip() == program.name[:15], "it has become the program")
        os.kill(pids[1], signal.SIGKILL)
        pid, status = ends.get(timeout=10)
        assert pid == pids[1]
        assert status is not None
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert own.wait(10) == 0, "a plain child's status is left to whoever started it"
        assert ends.empty()
    finally:
        reaper.close()
        own.wait()


def test_end_of_a_stranger_is_noticed() -> None:
    """A watched process that is not our child is told without a status, when its own parent has reaped it or not."""
    ends: queue.Queue[tuple[int, int | None]] = queue.Queue()
    reaper = QemuReaper(lambda pid, status: ends.put((pid, status)))
    parent = subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    try:
        reaper.watch(pid)
        reaper.watch(pid)
        os.kill(pid, signal.SIGKILL)
        assert ends.get(timeout=10) == (pid, None)
        assert ends.empty()
        reaper.watch(1 << 22)  # no process has such a number
    finally:
        reaper.close()
        reaper.watch(os.getpid())  # after the end nothing happens
        parent.wait()
        parent.stdout.close()
