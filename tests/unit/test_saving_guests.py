"""What a worker does to save a guest: it is left alone meanwhile, and goes on whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog
from tests.unit.reconciler_rig import Rig, soon

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.core.saved_machine import SavedMachine
from shoal.errors import Refused
from shoal.messages.host_requests import SavedContent, SaveGuest
from shoal_worker.answers import answers_of
from shoal_worker.answers.desk import Desk
from shoal_worker.capture_book import CaptureBook
from shoal_worker.captures import Captures
from shoal_worker.core.saved_state import read_state_head
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.guest_access import SavedGuest, Told
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.machine import SimulatedMachine
from shoal_worker.programs import NoPrograms
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_recorder import SimulatedRecorder

KEY = ("foo", "a")


class Access(SimulatedAccess):
    """May be told to take its time over saving, or to fail; remembers how it ended."""

    gate: asyncio.Event | None = None
    error = ""
    slow_to_end = False
    cancelled = False

    async def save(self, instance: str, machine: SavedMachine, told: Told) -> SavedGuest:
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                if self.slow_to_end:
                    await asyncio.sleep(0.02)
                self.cancelled = True
                raise
        if self.error:
            raise HypervisorError(self.error)
        return await super().save(instance, machine, told)


class Saving:
    """A reconciler with one running guest, and the desk that its worker answers from."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.access = Access(self.rig.hypervisor.kept)
        self.blobs = MemoryBlobs()
        self.desk = Desk(
            host="h",
            hypervisor=self.rig.hypervisor,
            access=self.access,
            machine=SimulatedMachine("h"),
            desired=self.rig.desired,
            cache=SimulatedCache(self.blobs),
            blobs=self.blobs,
            captures=Captures(SimulatedRecorder(), CaptureBook(), structlog.get_logger()),
            programs=NoPrograms("h"),
            hold=self.rig.reconciler.hold,
        )

    def state(self) -> str:
        return self.rig.guests().get("a", "")

    def reported(self, name: str) -> str:
        status = self.rig.bus.vms.get(name)
        return status.state if status is not None else ""

    async def save(self) -> SavedContent:
        answer = answers_of(self.desk)[SaveGuest]
        found: SavedContent = await answer(SaveGuest(instance="i-a", label="x"), lambda *_: None)
        return found

    @contextlib.asynccontextmanager
    async def running(self, power: str = "running") -> AsyncIterator[None]:
        async with self.rig.running():
            self.rig.want("a", power=power)  # type: ignore[arg-type]  # one of the powers
            await soon(lambda: self.state() == ("running" if power == "running" else "paused"))
            await soon(lambda: "a" in self.rig.bus.vms)
            yield


async def test_a_saved_guest_goes_on_and_is_in_the_store() -> None:
    """A running guest runs again afterwards, a paused one stays paused; the state says what machine it needs."""
    saving = Saving()
    async with saving.running():
        content = await saving.save()
        assert saving.state() == "running"
        state = saving.blobs.content[content.state.digest]
        machine, start = read_state_head(state)
        assert (machine.nics[0].mac, state[start:]) == ("m", b"1")
        saving.rig.want("a", revision=2, power="paused")
        await saving.rig.bus.until_states(a="PAUSED")
        await saving.save()
        assert saving.state() == "paused"


async def test_nothing_is_done_about_a_vm_while_it_is_saved() -> None:
    """A guest that is paused to be saved is not resumed by the reconciler; what is asked for meanwhile is done after it."""
    saving = Saving()
    saving.access.gate = asyncio.Event()
    async with saving.running():
        task = asyncio.create_task(saving.save())
        await soon(lambda: saving.state() == "paused")
        surveys = saving.rig.hypervisor.surveys
        saving.rig.want("b", power="running")
        await saving.rig.bus.until(lambda: saving.reported("b") == "RUNNING")
        assert saving.rig.hypervisor.looked_since(surveys)
        assert saving.state() == "paused"
        assert saving.reported("a") == "RUNNING"
        saving.rig.want("a", revision=2, power="paused")
        saving.access.gate.set()
        await task
        await saving.rig.bus.until_states(a="PAUSED", b="RUNNING")


async def test_a_guest_goes_on_when_it_cannot_be_saved() -> None:
    """A refusal is passed on, the guest runs, and the next try is not held up."""
    saving = Saving()
    saving.access.error = "the disk is full"
    async with saving.running():
        with pytest.raises(HypervisorError, match="the disk is full"):
            await saving.save()
        assert saving.state() == "running"
        assert saving.blobs.content == {}
        saving.access.error = ""
        await saving.save()


async def test_a_guest_goes_on_when_nobody_waits_any_more() -> None:
    """Saving that is broken off lets the guest run and the reconciler have it."""
    saving = Saving()
    saving.access.gate = asyncio.Event()
    async with saving.running():
        task = asyncio.create_task(saving.save())
        await soon(lambda: saving.state() == "paused")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert saving.access.cancelled
        assert saving.state() == "running"
        saving.rig.want("a", revision=2, power="paused")
        await saving.rig.bus.until_states(a="PAUSED")


async def test_a_killed_vm_is_not_saved_to_the_end() -> None:
    """A VM that is killed while it is saved is ended at once, and the saving says why it came to nothing."""
    saving = Saving()
    saving.access.gate = asyncio.Event()
    async with saving.running():
        task = asyncio.create_task(saving.save())
        await soon(lambda: saving.state() == "paused")
        saving.rig.want("a", revision=2, power="off")
        with pytest.raises(Refused, match="does not run on this host"):
            await task
        assert saving.access.cancelled
        await saving.rig.bus.until_states(a="QUIT")


async def test_only_guests_that_are_here_are_saved() -> None:
    """An instance that is not of this host is refused by name of the reason."""
    saving = Saving()
    async with saving.rig.running():
        with pytest.raises(Refused, match="does not run on this host"):
            await saving.save()


async def test_holding_waits_for_what_is_being_done() -> None:
    """A VM is held only when its work has ended, by one at a time."""
    saving = Saving()
    saving.rig.hypervisor.hold["a"] = asyncio.Event()
    held: list[str] = []

    async def hold(who: str, until: asyncio.Event) -> None:
        async with saving.rig.reconciler.hold(KEY, "i-a"):
            held.append(who)
            await until.wait()

    async with saving.rig.running():
        saving.rig.want("a")
        await soon(lambda: saving.rig.hypervisor.created)
        first, second = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(hold("one", first)), asyncio.create_task(hold("two", second))]
        await asyncio.sleep(0)
        assert held == []
        saving.rig.hypervisor.hold["a"].set()
        await soon(lambda: held == ["one"])
        first.set()
        await soon(lambda: held == ["one", "two"])
        second.set()
        await asyncio.gather(*tasks)


async def test_nothing_is_held_when_the_worker_ends() -> None:
    """A worker that drains begins no saving."""
    saving = Saving()
    async with saving.running():
        await saving.rig.reconciler.drain(1)
        with pytest.raises(HypervisorError, match="is ending"):
            await saving.save()
