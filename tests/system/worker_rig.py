"""A cluster with one host of real guests: a worker process of its own (worker_agent.py) beside a simulated host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.system.hypervisor_rig import CACHE, Worker
from tests.waiting import eventually

import shoal
from shoal.core.vmconfig import VMConfig
from shoal.messages.events import VMEvent
from shoal.testing import cluster
from shoal_worker.guest import MEMORY_MIB, GuestImage, command_line

AGENT = str(Path(__file__).with_name("worker_agent.py"))
HOST = "real"


@pytest.fixture
def able(need: Callable[[str, bool], None]) -> None:
    """What real guests need."""
    need("root", os.geteuid() == 0)
    need("qemu-system-x86_64", shutil.which("qemu-system-x86_64") is not None)
    need("user libvirt-qemu", any(user.pw_name == "libvirt-qemu" for user in pwd.getpwall()))
    pytest.importorskip("libvirt")


class RealHost:
    """The worker, a client, and the namespace `red`."""

    def __init__(
        self, process: subprocess.Popen[bytes], client: shoal.Client, log: Callable[[], str]
    ) -> None:
        self._process = process
        #: what the worker has logged
        self.log = log
        self.client = client
        self.red = client.namespace("red")

    def end_behind(self, vm: str) -> str:
        """Destroy a VM's domain behind the worker's back; the names of the domains that are left."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{vm}@red\n".encode())
        self._process.stdin.flush()
        line = self._process.stdout.readline().decode()
        assert line.startswith("left: "), line
        return line.removeprefix("left: ").strip()

    async def row(self, vm: str) -> Any:
        return next(row for row in await self.red.vms() if row.name == vm)

    async def until(self, vm: str, state: str) -> Any:
        """A VM's row, once it is in a state."""

        async def reached() -> Any:
            row = await self.row(vm)
            return row if row.state == state else None

        return await eventually(reached, f"{vm} is {state}")


async def heard(events: Any, kind: type[VMEvent], vm: str) -> VMEvent:
    """The next event of a kind about a VM."""
    async with asyncio.timeout(60):
        async for event in events:
            if isinstance(event, kind) and event.name == vm:
                return event
    raise AssertionError("the events ended")


def small(image: GuestImage, vm: str, **changes: Any) -> VMConfig:
    """A VM of the small guest on the real host."""
    config = VMConfig(
        memory_mib=MEMORY_MIB,
        kernel=str(image.kernel),
        initrd=str(image.initrd),
        append=command_line(f"red/{vm}"),
        serial_ports=1,
        schedule=HOST,
    )
    return replace(config, **changes)


@contextlib.asynccontextmanager
async def real_host(state: Path) -> AsyncIterator[RealHost]:
    """A cluster whose host `real` has its state in a folder; at the end no guest is left."""
    async with cluster("mm1") as running, shoal.connect(running.url, patience_s=60) as client:
        with (running.folder / "agent.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, AGENT, HOST, running.url, str(state), str(CACHE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:

            async def alive() -> bool:
                assert process.poll() is None, running.log("agent")
                return HOST in {host.host for host in await client.hosts() if host.state == "alive"}

            await eventually(alive, "the real host is alive", 120)
            found = RealHost(process, client, lambda: running.log("agent"))
            await found.red.create()
            yield found
            await found.red.clear()
        except BaseException:
            print(running.log("agent"))
            raise
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                # the end of its input ends it
                await asyncio.to_thread(process.communicate, timeout=30)
            process.kill()
            await asyncio.to_thread(process.wait)
            await asyncio.to_thread(Worker(state).end)
        assert process.returncode == 0, "the worker did not end by itself"
