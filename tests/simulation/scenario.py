"""One simulated life of a cluster, from a seed: it starts, is used and harmed, is mended, settles, and ends.

Refuses to know where seeds come from. All chance comes from the seed; two runs of one seed are the same.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from tests.simulation.cluster import Cluster, Size
from tests.simulation.faults import Faults, Plan
from tests.simulation.machines import UNTROUBLED, Trouble
from tests.simulation.trace import Trace
from tests.simulation.virtual_loop import Process, StandStill, VirtualLoop
from tests.simulation.weather import FAIR, Climate
from tests.simulation.workload import Operator, Tenant

START_S = 60.0
SETTLE_S = 240.0
ANSWER_S = 300.0
END_S = 60.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a life is made of."""

    size: Size = field(default_factory=Size)
    plan: Plan = field(default_factory=Plan)
    tenants: int = 2
    vms: int = 6
    active_s: float = 60.0
    operator: bool = True
    #: each tenant begins by launching all its VMs, and never clears its namespace
    filling: bool = False
    #: the mean of the seconds between a tenant's requests, and how many VMs one is about at most
    pace_s: float = 1.0
    at_once: int = 1000
    #: how often it is looked whether all has settled: to look at a large cluster takes long
    look_s: float = 0.5


@dataclass(slots=True)
class Result:
    """How it went."""

    seed: str
    digest: str = ""
    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    virtual_s: float = 0.0
    steps: int = 0
    answered: int = 0
    setting: Setting = field(default_factory=Setting)

    @property
    def command(self) -> str:
        """What replays it."""
        return f"python -m tests.simulation --seed {self.seed}"


#: what a life is mostly about
_ALL = Faults.names()
_LEADERS = (
    "pause-orchestrator",
    "pause-orchestrator",
    "kill-orchestrator",
    "end-orchestrator",
    "cut-orchestrator",
)
_HOSTS = ("kill-worker", "end-worker", "pause-worker", "cut-worker", "kill-guest", "kill-recorder")
_STORE = ("restart-server", "full", "storm", "kill-orchestrator", "kill-worker")
_THEMES = (_ALL, _ALL, _LEADERS, _HOSTS, _STORE)


def setting_of(seed: str) -> Setting:
    """What a seed makes of everything that is open: how many of what, and which faults."""
    rng = random.Random(f"{seed}/setting")
    theme = rng.choice(_THEMES)
    size = Size(
        hosts=rng.choice((2, 2, 3, 4)),
        orchestrators=2 if theme is _LEADERS else rng.choice((1, 1, 2)),
        sees_death=rng.random() < 0.5,
    )
    kinds = tuple(kind for kind in theme if theme is not _ALL or rng.random() < 0.35)
    climate = FAIR
    if rng.random() < 0.8:
        climate = Climate(
            late=rng.choice((0.0, 0.01, 0.1)),
            lost=rng.choice((0.0, 0.01, 0.05)),
            twice=rng.choice((0.0, 0.02)),
            overtaking=rng.choice((0.0, 0.05)),
            stuck=rng.choice((0.0, 0.0, 0.01)),
            unanswered=rng.choice((0.0, 0.02)),
            stale=rng.choice((0.0, 0.0, 0.2)),
        )
    trouble = UNTROUBLED
    if rng.random() < 0.3:
        trouble = Trouble(busy=0.02, network=rng.choice((0.0, 0.02)), journal=rng.choice((0.0, 0.02)))
    if rng.random() < 0.08:
        kinds = (*kinds, "go-back")
    plan = Plan(every_s=rng.choice((3.0, 8.0, 20.0)), kinds=kinds, climate=climate, trouble=trouble)
    return Setting(size=size, plan=plan, active_s=rng.choice((20.0, 40.0, 80.0)), vms=rng.choice((3, 6, 10)))


class Life:
    """One run."""

    def __init__(self, seed: str, setting: Setting, loop: VirtualLoop, trace: Trace) -> None:
        self._setting = setting
        self._loop = loop
        self._trace = trace
        self._cluster = Cluster(setting.size, seed, loop, trace)
        self._problems: list[str] = []
        self._tenants: list[Tenant] = []

    @property
    def answered(self) -> int:
        """How many requests were answered well."""
        return sum(tenant.answered for tenant in self._tenants)

    async def run(self) -> list[str]:
        """All of it; what was wrong."""
        problems = await self._all()
        if "go-back" in self._setting.plan.kinds:
            # What was accepted is lost with the store. But nothing is there twice, and nothing was harmed.
            problems = []
        return [*problems, *self._cluster.oracle.violations]

    async def _all(self) -> list[str]:
        cluster, setting = self._cluster, self._setting
        self._trace.note(f"{setting}")
        cluster.start()
        if not await self._until(cluster.ready, START_S):
            return [f"not ready within {START_S:g} s", *cluster.unsettled()]
        faults = Faults(cluster, setting.plan, cluster.rng("faults"), cluster.weather, self._trace)
        harm = asyncio.create_task(faults.run(), name="faults")
        clients = self._use(self._loop.time() + setting.active_s)
        await asyncio.sleep(setting.active_s)
        harm.cancel()
        await asyncio.gather(harm, return_exceptions=True)
        faults.mend()
        if not await self._until(lambda: all(client.ended.is_set() for client in clients), ANSWER_S):
            self._problems.append(f"clients wait for answers {ANSWER_S:g} s after all was mended")
        for client in clients:
            if client.error is not None:
                self._problems.append(f"{client.name} failed: {client.error!r}")
        if not await self._until(lambda: not cluster.unsettled(), SETTLE_S, setting.look_s):
            self._problems += [f"not settled: {text}" for text in cluster.unsettled()]
        await self._judge()
        try:
            async with asyncio.timeout(END_S):
                await cluster.finish()
        except TimeoutError:
            self._problems.append(f"not everything ended within {END_S:g} s")
        return self._problems

    def _use(self, until: float) -> list[Process]:
        setting, cluster = self._setting, self._cluster
        frail = "kill-guest" in setting.plan.kinds or setting.plan.trouble != UNTROUBLED
        found = []
        for number in range(setting.tenants):
            name = f"ns{number}"

            async def use(client, name=name):
                tenant = Tenant(
                    client,
                    name,
                    cluster.rng(f"{name}/work"),
                    self._trace,
                    vms=setting.vms,
                    frail=frail,
                    hosts=list(cluster.hosts),
                    pace_s=setting.pace_s,
                    at_once=setting.at_once,
                )
                self._tenants.append(tenant)
                await tenant.run(until, filling=setting.filling)

            found.append(cluster.client(f"client-{name}", use))
        if setting.operator:
            hosts = [name for name in cluster.hosts if name != "head"]
            names = [f"ns{number}" for number in range(setting.tenants)]

            async def look_after(client):
                await Operator(client, hosts, names, cluster.rng("operator/work"), self._trace).run(until)

            found.append(cluster.client("operator", look_after))
        return found

    async def _judge(self) -> None:
        """Ask for what was promised, with a client of its own."""
        leader = self._cluster.leader()
        if leader is None:
            return

        async def ask(client):
            for tenant in self._tenants:
                entries = leader.model.queued(tenant.name)
                queued = [name for entry in entries for name in entry.names.split(",") if entry.names]
                files, captures = leader.model.files, self._cluster.captured()
                self._problems += await tenant.judge(client, queued, files, captures)

        process = self._cluster.client("judge", ask)
        if not await self._until(process.ended.is_set, ANSWER_S):
            self._problems.append("the judge is not answered")
        elif process.error is not None:
            self._problems.append(f"the judge failed: {process.error!r}")

    async def _until(self, done, within_s: float, every_s: float = 0.5) -> bool:
        deadline = self._loop.time() + within_s
        while not done():
            if self._loop.time() > deadline:
                return False
            await asyncio.sleep(every_s)
        return True


def live(seed: str, setting: Setting | None = None, *, show: bool = False) -> Result:
    """Run one life."""
    setting = setting or setting_of(seed)
    loop = VirtualLoop(random.Random(f"{seed}/loop"))
    trace = Trace(loop, show=show)
    result = Result(seed=seed, setting=setting)
    begun = loop.time()
    asyncio.set_event_loop(None)
    with trace.listening():
        try:
            result.problems = _run(seed, setting, loop, trace, result)
        finally:
            trace.close()
            loop.close()
            loop.bury()
    result.digest, result.lines = trace.digest, list(trace.lines)
    result.virtual_s, result.steps = loop.time() - begun, loop.steps
    return result


def _run(seed: str, setting: Setting, loop: VirtualLoop, trace: Trace, result: Result) -> list[str]:
    problems = []
    life = Life(seed, setting, loop, trace)
    try:
        problems = loop.run_until_complete(life.run())
    except StandStill:
        problems = ["everything has come to a standstill"]
    result.answered = life.answered
    for context in loop.complaints:
        error, where = context.get("exception"), context.get("task") or context.get("handle")
        trace.complain(f"{context.get('message')}: {error!r} in {where}")
    return [*problems, *trace.complaints]
