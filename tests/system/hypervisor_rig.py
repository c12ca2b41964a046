"""A process with a LibvirtHypervisor of its own to ask (hypervisor_agent.py), the small guest, and what it is asked."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.waiting import wait_until

from shoal.core.vmconfig import VMConfig
from shoal_worker.cache_folder import cache_folder
from shoal_worker.guest import MEMORY_MIB, GuestImage, command_line, image_in
from shoal_worker.guest.build import build
from shoal_worker.guest.kernel_package import BuildError
from shoal_worker.hypervisor import Guest, GuestSpec, GuestState, Survey

AGENT = str(Path(__file__).with_name("hypervisor_agent.py"))
CACHE = cache_folder(os.environ, root=True)


class Answer(msgspec.Struct):
    """What the agent (hypervisor_agent.py) answers; see there."""

    survey: Survey
    error: str
    version: str
    seconds: float
    changes: int


def is_alive(pid: int) -> bool:
    """Whether it is a process that has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Worker:
    """An agent process and the state folder that it works in; `start` again after `kill`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Answer:
        self._process = subprocess.Popen(
            [sys.executable, AGENT, str(self.state), str(CACHE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self.ask("open")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._close(self._process)

    def stop(self) -> int:
        """Let it end in order; returns its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(30)
        self._close(self._process)
        return code

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(30)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._process = None

    def say(self, do: str, **words: Any) -> None:
        """Ask for something, and do not wait for the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"do": do, **words}) + b"\n")
        self._process.stdin.flush()

    def ask(self, do: str, **words: Any) -> Answer:
        self.say(do, **words)
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the agent ended while it was asked to {do}"
        return msgspec.json.decode(line, type=Answer)

    def guest(self, instance: str) -> Guest:
        found = [guest for guest in self.ask("survey").survey.guests if guest.instance == instance]
        assert len(found) == 1, f"{len(found)} guests of instance {instance}"
        return found[0]

    def wait_for(self, instance: str, state: GuestState) -> Guest:
        wait_until(lambda: self.guest(instance).state == state, f"guest {instance} {state}")
        return self.guest(instance)

    def end(self) -> None:
        """Remove all guests, whatever happened before."""
        if self._process is None:
            self.start()
        for guest in self.ask("survey").survey.guests:
            self.ask("destroy", instance=guest.instance)
        self.stop()


@pytest.fixture
def worker(need: Callable[[str, bool], None], image: GuestImage) -> Iterator[Worker]:
    need("root", os.geteuid() == 0)
    need("qemu-system-x86_64", shutil.which("qemu-system-x86_64") is not None)
    need("user libvirt-qemu", any(user.pw_name == "libvirt-qemu" for user in pwd.getpwall()))
    pytest.importorskip("libvirt")
    assert image.kernel.exists()
    # short, since the paths of sockets are limited
    with tempfile.TemporaryDirectory(prefix="shoal-") as state:
        found = Worker(Path(state))
        found.start()
        try:
            yield found
        finally:
            found.end()


@pytest.fixture(scope="session")
def built() -> GuestImage | str:
    try:
        return build(CACHE / "guest", print)
    except BuildError as error:
        return str(error)


@pytest.fixture
def image(need: Callable[[str, bool], None], built: GuestImage | str) -> GuestImage:
    need(f"guest image ({built})", isinstance(built, GuestImage))
    found = image_in(CACHE / "guest")
    assert found is not None
    return found


def spec(image: GuestImage, name: str, **changes: Any) -> GuestSpec:
    config = VMConfig(
        memory_mib=MEMORY_MIB,
        kernel=str(image.kernel),
        initrd=str(image.initrd),
        append=command_line(f"red/{name}"),
        serial_ports=1,
    )
    return GuestSpec(
        namespace="red",
        name=name,
        instance=uuid.uuid4().hex,
        revision=7,
        uuid=str(uuid.uuid4()),
        config=msgspec.structs.replace(config, **changes),
    )
