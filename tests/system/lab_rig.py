"""A laboratory as a process of its own, as a person starts it, and the small guest to run in it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.waiting import eventually

import shoal
from shoal_worker.guest import READY_MARKER, GuestImage, image_in

GUEST = Path("/var/cache/shoal/guest")
READY_TIMEOUT_S = 180
END_TIMEOUT_S = 60
#: emulated guests on a busy machine
BOOT_TIMEOUT_S = 300


@pytest.fixture(scope="session")
def built_guest() -> GuestImage | None:
    """The small guest, built once; None where it cannot be."""
    if os.geteuid() != 0 or not shutil.which("qemu-system-x86_64"):
        return None
    subprocess.run([sys.executable, "-m", "shoal_worker.guest", "build"], check=True, capture_output=True)
    return image_in(GUEST)


@pytest.fixture
def guest_image(need: Callable[[str, bool], None], built_guest: GuestImage | None) -> GuestImage:
    """The small guest."""
    need("root and QEMU", built_guest is not None)
    assert built_guest is not None
    return built_guest


class Lab:
    """A laboratory of emulated guests; `state` is its folder, whose path must be short for sockets below it."""

    def __init__(self, state: Path, hosts: int) -> None:
        self.state = state
        self._said = state.parent / "lab.out"
        with self._said.open("wb") as out:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "shoal_worker.lab", "lab"),
                    *("--hosts", str(hosts), "--accelerator", "tcg", "--state", str(state)),
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    async def ready(self) -> None:
        """Wait until the lab has said that it is up."""

        async def up() -> bool:
            assert self.process.poll() is None, self._said.read_text()
            return "Ctrl-C here" in self._said.read_text()

        await eventually(up, "the lab is up", READY_TIMEOUT_S)

    @property
    def url(self) -> str:
        """Its NATS server."""
        return str(json.loads((self.state / "lab.json").read_text())["url"])


async def booted(folder: Path, timeout_s: float = BOOT_TIMEOUT_S) -> None:
    """Wait until the guest whose folder this is has said on its serial line that it is up."""

    async def said() -> bool:
        return READY_MARKER in (folder / "serial0.log").read_text(errors="replace")

    await eventually(said, f"{folder} is up", timeout_s)


@contextlib.asynccontextmanager
async def laboratory(folder: Path, hosts: int) -> AsyncIterator[tuple[Path, shoal.Client]]:
    """A lab's state folder and a client of it; at the end nothing."""
    lab = Lab(folder / "state", hosts)
    try:
        await lab.ready()
        async with shoal.connect(lab.url) as client:
            yield lab.state, client
    finally:
        lab.process.terminate()
        lab.process.wait(END_TIMEOUT_S)
