"""Sees, before anything is made, whether this machine has what a lab needs; each lack is one line that says what to do.

This module refuses to change anything, but for the directory and the socket that it opens for the lab.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.errors import Conflict, PermissionDenied, Refused, UsageError
from shoal.testing import find_nats_server
from shoal_worker.lab.layout import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping

_INSTALL = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
}
_MODULES = {"libvirt": "libvirt-python", "pyroute2": "pyroute2"}


def find_programs(*, simulate: bool, namespaces: bool) -> Programs:
    """The programs of a cluster.

    Raises PermissionDenied without root, Unavailable without nats-server, Refused without anything else that real
    guests and links need.
    """
    programs = Programs(python=sys.executable, nats_server=find_nats_server())
    if simulate:
        return programs
    if os.geteuid() != 0:
        raise PermissionDenied("real guests and network links need root: run it as root, or with --simulate")
    for module, package in _MODULES.items():
        if find_spec(module) is None:
            raise Refused(f"the Python module {module} is missing ({package}): `pip install 'shoal[worker]'`")
    for program, package in _INSTALL.items():
        if shutil.which(program) is None and (namespaces or program.startswith("qemu")):
            raise Refused(f"{program} is missing: install {package} (`apt-get install {package}`)")
    return programs


def search_path(environ: Mapping[str, str]) -> str:
    """PATH for the command of a lab: the usual one, and after it the folder that `shoal` itself is in."""
    return os.pathsep.join([environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])


def find_command(command: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """Raise UsageError if there is no such program."""
    if command and shutil.which(command[0], path=search_path(environ)) is None:
        raise UsageError(f'exec: "{command[0]}": executable file not found in $PATH')


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with listen(0) as opened:
        return int(opened.getsockname()[1])


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1. Raises Conflict when the port is in use; 0 is any free one."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(("127.0.0.1", port))
        opened.listen(128)
    except OSError as error:
        opened.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {port} of 127.0.0.1 is in use: see who has it (`ss -ltnp sport = :{port}`), "
                "or choose another with --port",
                names=(str(port),),
            ) from None
        if error.errno == errno.EACCES:
            raise PermissionDenied(
                f"port {port} of 127.0.0.1 needs root: choose another with --port"
            ) from None
        raise
    return opened


@dataclass(frozen=True, slots=True)
class State:
    """A state directory in use: `made` if it is temporary. `lock` is the descriptor that holds it for us."""

    path: Path
    made: bool
    lock: int


def open_state(path: Path | None, lab: str) -> State:
    """Make the state directory (a temporary one for None) and lock it.

    Raises Conflict when a running lab has it, Refused when it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"shoal-{lab}-")) if path is None else path
        for part in ("logs", "nats"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lab.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Refused(f"state directory {path}: {error.strerror}: choose another with --state") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict(
            f"state directory {folder} is in use by another lab: end that one, or choose another with --state",
            names=(str(folder),),
        ) from None
    return State(path=folder, made=path is None, lock=lock)
