"""Adopts the QEMU processes that libvirt starts from this process, notices their end and reaps them.

libvirt's embedded driver detaches QEMU, and waits for a dead one until somebody has reaped it. As child subreaper
(prctl(2)) this process is that somebody, and learns the exit status, the best reason for a death. Only processes
that are surely such a QEMU are waited for: any other child belongs to whoever started it.
This module refuses to know libvirt and guests: it knows process numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
#: how often to look for newcomers while guests are being created; a failed start waits for this
_SCAN_S = 0.05
_QEMU = "(qemu-system"


def become_subreaper() -> bool:
    """Let orphaned descendants become children of this process (prctl(2), Linux 3.4); False if refused."""
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def is_detached_qemu(stat: str, pid: int, own_session: int) -> bool:
    """Tell from a line of /proc/PID/stat (proc(5)) whether this is a QEMU that libvirt detached.

    libvirt forks twice: the session of such a QEMU is that of the vanished process in between, neither ours
    (as for a plain child) nor its own (as for a child that was started in a new session).
    """
    start, end = stat.find("("), stat.rfind(")")
    if start < 0 or not stat[start:].startswith(_QEMU):
        return False
    session = int(stat[end + 2 :].split()[3])
    return session not in (own_session, pid)


class QemuReaper:
    """A thread that sleeps until a QEMU ends. `ended(pid, wait status)` is called on that thread.

    The status is None for a QEMU that is not our child: one that an earlier process of this worker started.
    """

    def __init__(self, ended: Callable[[int, int | None], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._handles: dict[int, int] = {}  # pidfd → pid
        self._creating = 0
        self._closing = False
        self._poll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._bell, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="qemu-reaper", daemon=True)
        self._thread.start()

    def watch(self, pid: int) -> None:
        """Notice the end of this process, child or not; again for one that is watched already is fine."""
        with self._lock:
            if self._closing or pid in self._handles.values():
                return
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            self._handles[handle] = pid
            self._poll.register(handle, select.EPOLLIN)

    @contextlib.contextmanager
    def creating(self) -> Iterator[None]:
        """While the body runs look for new QEMUs, so that one that dies at once is reaped at once."""
        with self._lock:
            self._creating += 1
        os.eventfd_write(self._bell, 1)
        try:
            yield
        finally:
            self._scan()
            with self._lock:
                self._creating -= 1

    def close(self) -> None:
        """End the thread. Processes run on, and are nobody's to reap until another reaper looks."""
        with self._lock:
            self._closing = True
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        for handle in self._handles:
            os.close(handle)
        self._handles.clear()
        self._poll.close()
        os.close(self._bell)

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closing:
                    return
                timeout = _SCAN_S if self._creating else None
            for handle, _ in self._poll.poll(timeout):
                if handle == self._bell:
                    os.eventfd_read(self._bell)
                else:
                    self._reap(handle)
            if timeout is not None:
                self._scan()

    def _reap(self, handle: int) -> None:
        with self._lock:
            pid = self._handles.pop(handle)
            self._poll.unregister(handle)
        os.close(handle)
        status: int | None = None
        with contextlib.suppress(ChildProcessError):
            waited, status_if_child = os.waitpid(pid, os.WNOHANG)
            status = status_if_child if waited == pid else None
        self._ended(pid, status)

    def _scan(self) -> None:
        """Watch the QEMUs among our children. Orphans become children of the first thread (proc(5))."""
        own = os.getpid()
        session = os.getsid(0)
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split():
                pid = int(word)
                with contextlib.suppress(OSError):
                    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
                    if is_detached_qemu(stat, pid, session):
                        self.watch(pid)
