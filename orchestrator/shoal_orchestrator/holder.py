"""Which process holds the lead, and whether it has ended: known for sure only on the machine that it ran on.

Refuses to know leases. A leader that was killed need not be waited for where its end can be seen; everywhere else
only its silence tells.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def this_process(proc: Path = _PROC) -> str:
    """This process, unlike any other: boot id, PID namespace, process number, time of start."""
    return "/".join((*_machine(proc), str(os.getpid()), _started(proc, os.getpid())))


def has_ended(holder: str, proc: Path = _PROC) -> bool:
    """Whether the process that `this_process` named has ended. False too where that cannot be known."""
    boot, space, pid, started = (*holder.split("/"), "", "", "", "")[:4]
    if (boot, space) != _machine(proc) or not pid.isdecimal():
        return False
    if not _started(proc, 1):
        # other users' processes are hidden from us (hidepid of proc(5), ProtectProc of systemd.exec(5)): that one is
        # not seen says nothing then
        return False
    return _started(proc, int(pid)) != started


def no_longer_leads(holder: str, proc: Path = _PROC) -> bool:
    """Whether a standby of this process need not wait for a fence's holder: it has ended, or it was this process itself.

    A process leads one term at a time: who stands by here has ended its own.
    """
    return holder == this_process(proc) or has_ended(holder, proc)


def _machine(proc: Path) -> tuple[str, str]:
    """The boot id, and the number of the PID namespace (pid_namespaces(7)): process numbers count within them."""
    try:
        return (
            (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
            str((proc / "self/ns/pid").stat().st_ino),
        )
    except OSError:
        return "", ""


def _started(proc: Path, pid: int) -> str:
    """When a process started, in ticks since boot (proc_pid_stat(5), field 22); empty when it runs no more."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in ("Z", "X") else fields[18]
