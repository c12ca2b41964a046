"""Does harm to a simulated cluster, at times that the seed decides, and mends it all in the end.

Refuses to know what the harm should lead to.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.machines import UNTROUBLED, Trouble
from tests.simulation.programs import Keeper
from tests.simulation.trace import Trace
from tests.simulation.weather import FAIR, Climate, SeededWeather

from shoal.bus.memory_streams import Copy

#: after so many steps a program that was armed dies or sleeps
_STEPS = (1, 400)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which faults there are, and how often: seconds between two of them, on average; 0: never."""

    every_s: float = 8.0
    kinds: tuple[str, ...] = ()
    climate: Climate = FAIR
    trouble: Trouble = UNTROUBLED


class Faults:
    """The harm that is done to one cluster."""

    def __init__(
        self, cluster: Any, plan: Plan, rng: random.Random, weather: SeededWeather, trace: Trace
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._rng = rng
        self._weather = weather
        self._trace = trace
        self._kinds: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "kill-worker": self._kill_worker,
            "kill-orchestrator": self._kill_orchestrator,
            "end-worker": self._end_worker,
            "end-orchestrator": self._end_orchestrator,
            "pause-worker": self._pause_worker,
            "pause-orchestrator": self._pause_orchestrator,
            "cut-worker": self._cut_worker,
            "cut-orchestrator": self._cut_orchestrator,
            "restart-server": self._restart_server,
            "full": self._full,
            "storm": self._storm,
            "kill-guest": self._kill_guest,
            "kill-recorder": self._kill_recorder,
            "go-back": self._go_back,
        }
        self._copies: list[Copy] = []

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """All kinds of faults that the cluster must get over by itself; `go-back` is none of them."""
        return (
            *("kill-worker", "kill-orchestrator", "end-worker", "end-orchestrator", "pause-worker"),
            *(
                "pause-orchestrator",
                "cut-worker",
                "cut-orchestrator",
                "restart-server",
                "full",
                "storm",
                "kill-guest",
                "kill-recorder",
            ),
        )

    async def run(self) -> None:
        """Do harm until cancelled; each kind of fault takes its time beside the others."""
        self._weather.climate = self._plan.climate
        for host in self._cluster.hosts.values():
            host.trouble = self._plan.trouble
        if not self._plan.kinds or not self._plan.every_s:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            if "go-back" in self._plan.kinds:
                group.create_task(self._keep_copies())
            while True:
                await asyncio.sleep(self._rng.expovariate(1 / self._plan.every_s))
                kind = self._rng.choice(self._plan.kinds)
                group.create_task(self._kinds[kind]())

    def mend(self) -> None:
        """Stop all harm: fair weather, everybody awake and connected."""
        self._trace.note("all is mended")
        self._weather.climate = FAIR
        self._cluster.streams.refuse = lambda: None
        for host in self._cluster.hosts.values():
            host.trouble = UNTROUBLED
        for keeper in self._cluster.keepers:
            if keeper.process is not None:
                keeper.process.after = None
                if keeper.process.paused:
                    keeper.process.resume()
            if keeper.bus is not None and not keeper.bus.closed:
                keeper.bus.heal()
                keeper.bus.restore()

    # --- programs ----------------------------------------------------------------------------------------

    def _worker(self) -> Keeper:
        return self._rng.choice(list(self._cluster.workers.values()))

    def _orchestrator(self) -> Keeper:
        return self._rng.choice(list(self._cluster.orchestrators.values()))

    def _arm(self, keeper: Keeper, act: Callable[[], None]) -> None:
        """Have it happen a few steps from now, in the middle of whatever is done then."""
        if keeper.process is not None and keeper.alive:
            keeper.process.after = (self._rng.randint(*_STEPS), act)

    async def _kill_worker(self) -> None:
        keeper = self._worker()
        self._arm(keeper, keeper.kill)

    async def _kill_orchestrator(self) -> None:
        keeper = self._orchestrator()
        self._arm(keeper, keeper.kill)

    async def _end_worker(self) -> None:
        self._worker().terminate()

    async def _end_orchestrator(self) -> None:
        self._orchestrator().terminate()

    async def _pause_worker(self) -> None:
        self._pause(self._worker())

    async def _pause_orchestrator(self) -> None:
        self._pause(self._orchestrator())

    def _pause(self, keeper: Keeper) -> None:
        seconds = self._rng.choice((0.3, 2.0, 8.0, 25.0, 60.0)) * self._rng.uniform(0.5, 1.0)
        process = keeper.process

        def act() -> None:
            assert process is not None
            self._trace.note(f"sleeps for {seconds:.1f} s", process.name)
            process.pause()
            asyncio.get_running_loop().call_later(seconds, wake, context=self._cluster.server.context)

        def wake() -> None:
            assert process is not None
            if process.paused and not process.dead:
                self._trace.note("wakes", process.name)
                process.resume()

        self._arm(keeper, act)

    # --- connections and the server ----------------------------------------------------------------------

    async def _cut_worker(self) -> None:
        await self._cut(self._worker())

    async def _cut_orchestrator(self) -> None:
        await self._cut(self._orchestrator())

    async def _cut(self, keeper: Keeper) -> None:
        """A connection breaks: one way or both, noticed or not."""
        bus = keeper.bus
        if bus is None or bus.closed or not bus.connected:
            return
        out, into = self._rng.choice(((True, True), (True, False), (False, True)))
        unnoticed_s = self._rng.choice((0.0, 1.0, 10.0)) * self._rng.uniform(0.5, 1.5)
        for_s = self._rng.choice((0.5, 5.0, 30.0)) * self._rng.uniform(0.5, 1.5)
        self._trace.note(f"is cut off for {for_s:.1f} s, unnoticed for {unnoticed_s:.1f} s", keeper.name)
        bus.stall(out=out, into=into)
        await asyncio.sleep(min(unnoticed_s, for_s))
        if for_s <= unnoticed_s:
            bus.heal()
            return
        bus.lose()
        await asyncio.sleep(for_s - unnoticed_s + self._rng.uniform(0.0, 1.5))
        self._trace.note("is connected again", keeper.name)
        bus.restore()

    async def _restart_server(self) -> None:
        """All connections break; what was stored is there again."""
        seconds = self._rng.uniform(0.1, 6.0)
        self._trace.note(f"the server is away for {seconds:.1f} s", "server")
        buses = [keeper.bus for keeper in self._cluster.keepers if keeper.bus is not None]
        for bus in buses:
            if not bus.closed:
                bus.lose()
        await asyncio.sleep(seconds)
        for keeper in self._cluster.keepers:
            bus = keeper.bus
            if bus is not None and not bus.closed:
                asyncio.get_running_loop().call_later(self._rng.uniform(0.0, 1.5), bus.restore)

    async def _keep_copies(self) -> None:
        while True:
            self._copies.append(self._cluster.streams.copy())
            await asyncio.sleep(self._rng.uniform(1.0, 10.0))

    async def _go_back(self) -> None:
        """The server has lost its store, or some of it; once."""
        if not self._copies:
            return
        copy = self._rng.choice((*self._copies, Copy({}, 0)))
        self._copies = []
        self._trace.note(f"the store goes back to {copy.last} of {self._cluster.streams.last}", "server")
        await self._restart_server()
        self._cluster.streams.go_back(copy)
        self._cluster.oracle.went_back(self._cluster.streams)

    async def _full(self) -> None:
        """The store takes nothing for a while."""
        self._trace.note("the store is full", "server")
        self._cluster.streams.refuse = self._cluster.full
        await asyncio.sleep(self._rng.uniform(0.5, 20.0))
        self._cluster.streams.refuse = lambda: None

    async def _storm(self) -> None:
        """For a while much is lost."""
        usual = self._weather.climate
        self._trace.note("a storm", "server")
        self._weather.climate = replace(usual, lost=0.3, late=0.3, unanswered=0.2, stuck=0.05, overtaking=0.2)
        await asyncio.sleep(self._rng.uniform(1.0, 15.0))
        self._weather.climate = usual

    async def _kill_guest(self) -> None:
        """A guest dies behind its worker's back."""
        living = [(host, guest) for host in self._cluster.hosts.values() for guest in host.living()]
        if living:
            host, guest = self._rng.choice(living)
            self._trace.note(f"QEMU of {guest.namespace}/{guest.name} dies", host.name)
            self._cluster.oracle.crashed.add(guest.instance)
            host.crash_guest(guest.instance)

    async def _kill_recorder(self) -> None:
        """What writes a capture dies; one that nobody is about to end."""
        parts = self._cluster.parts()
        going_on = []
        for name, host in self._cluster.hosts.items():
            running, worker = host.recorder.running(), parts.get(name)
            booked = [kept.capture for kept in host.book.kept]
            listed = booked if worker is None else worker.captures.listed()
            going_on += [
                (host, capture, running[capture.id])
                for capture in listed
                if capture.state == "running" and capture.id in running and capture in booked
            ]
        if going_on:
            host, capture, recording = self._rng.choice(going_on)
            self._trace.note(f"what writes the capture {capture.name} dies", host.name)
            self._cluster.oracle.died.add(capture.name)
            host.recorder.die(recording.pid)
