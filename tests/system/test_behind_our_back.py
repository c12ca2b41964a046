"""Guests that somebody else ends: noticed, told with the reason, and there again when they are started."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.system.worker_rig import HOST, RealHost, heard, real_host, small

from shoal.messages.events import VMFailed
from shoal_worker.guest import GuestImage

pytestmark = [pytest.mark.root, pytest.mark.timeout(400), pytest.mark.usefixtures("able")]


async def killed(host: RealHost, vm: str) -> str:
    """kill -9 of QEMU."""
    os.kill((await host.row(vm)).pid, signal.SIGKILL)
    return "QEMU died"


async def destroyed(host: RealHost, vm: str) -> str:
    """`virsh destroy` and `virsh undefine`: its domain is gone, that of the other VM is not."""
    assert host.end_behind(vm) == "other@red"
    return "destroyed by somebody else"


@pytest.mark.parametrize("power", ["running", "paused"])
@pytest.mark.parametrize("end", [killed, destroyed])
async def test_a_guest_that_somebody_else_ends(
    image: GuestImage, end: Callable[[RealHost, str], Awaitable[str]], power: str
) -> None:
    """Running or paused, it is in ERROR, row and event say why, nothing else changes; a start brings it
    back as a new process, once."""
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        async with real_host(Path(folder)) as host, host.red.events() as events:
            for vm in ("victim", "other"):
                await host.red.launch(vm, small(image, vm))
            await host.red.start()
            if power == "paused":
                await host.red.stop("victim")
            victim, other = await host.row("victim"), await host.row("other")

            reason = await end(host, "victim")

            failed = await host.until("victim", "ERROR")
            assert (failed.host, failed.instance, failed.pid) == (HOST, victim.instance, 0)
            # how the process ended stands behind it, when that was known first
            assert failed.reason.startswith(reason)
            told = await heard(events, VMFailed, "victim")
            assert (told.host, told.instance, told.reason) == (HOST, victim.instance, failed.reason)
            assert (await host.red.start("victim")).vms == "victim"
            again = await host.until("victim", "RUNNING")
            assert again.pid not in (0, victim.pid)
            assert again.reason == ""
            now = await host.row("other")
            assert (now.instance, now.pid, now.state) == (other.instance, other.pid, "RUNNING")
