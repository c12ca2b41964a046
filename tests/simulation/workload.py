"""What people do with a simulated cluster, and what they may expect of it afterwards.

Refuses to know the insides of the cluster: it is used through the client library. A tenant keeps, for each of its
VMs, the states in which it may be in the end: what was answered must hold; what was not answered may be either way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from tests.simulation.attachments import Attachments, Captured
from tests.simulation.trace import Trace

from shoal.client import Client
from shoal.core.ranges import expand, fold
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.errors import NotFound, ShoalError, TimedOut, Unavailable
from shoal.messages.hosts import AddHosts, DrainHosts, ListMesh, RemoveHosts, ResumeHosts
from shoal.messages.schedule import FlushQueue, Launched, SetQueueing
from shoal.messages.vlans import AddBridge
from shoal.messages.vms import Changed

#: states in the end; QUEUED: in the queue, ABSENT: nowhere
ANY = frozenset({"ABSENT", "QUEUED", "BUILDING", "RUNNING", "PAUSED", "QUIT", "ERROR", "LOST"})
_UP = frozenset({"BUILDING", "RUNNING", "PAUSED"})
_LAN = VMConfig(memory_mib=64, networks=(NetSpec(vlan="LAN"),))
_PRIVATE = VMConfig(
    memory_mib=64, networks=(NetSpec(vlan="LAN", bridge="own"), NetSpec(vlan="WAN", bridge="own"))
)
_PLAIN = VMConfig(memory_mib=64)


class Tenant:
    """Somebody with a namespace of their own. `frail`: VMs may end by themselves."""

    def __init__(
        self,
        client: Client,
        name: str,
        rng: random.Random,
        trace: Trace,
        *,
        vms: int,
        frail: bool,
        hosts: Sequence[str],
        pace_s: float = 1.0,
        at_once: int = 1000,
    ) -> None:
        self._client = client
        self._ns = client.namespace(name)
        self.name = name
        self._rng = rng
        self._trace = trace
        self._frail = frail
        self._pace_s = pace_s
        self._at_once = at_once
        self._names = [f"vm{number}" for number in range(vms)]
        self.may: dict[str, frozenset[str]] = dict.fromkeys(self._names, frozenset({"ABSENT"}))
        self.answered = 0
        self.refused: list[str] = []
        #: nobody knows whether it is there, and what it has
        self._lost_track = True
        self._queueing = False
        self._bridge = False
        self._attached = Attachments(self._ns, hosts, rng, self._ask_about)

    # --- the work ----------------------------------------------------------------------------------------

    async def run(self, until: float, *, filling: bool = False) -> None:
        """Do things until some time has come. `filling`: launch all VMs first, and do not clear the namespace."""
        loop = asyncio.get_running_loop()
        acts: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._launch, 8),
            (self._start, 6),
            (self._stop, 2),
            (self._kill, 4),
            (self._flush, 3),
            (self._toggle_queueing, 1),
            (self._schedule, 2),
            (self._flush_queue, 1),
            (self._look, 1),
            (self._clear, 0 if filling else 1),
            (self._attached.create_tap, 2),
            (self._attached.delete_tap, 1),
            (self._capture, 2),
            (self._attached.capture_bridge, 0 if filling else 1),
            (self._attached.end_captures, 1),
        ]
        choices, weights = [act for act, _ in acts], [weight for _, weight in acts]
        while loop.time() < until:
            if self._lost_track:
                await self._begin()
                if filling:
                    await self._launch_all()
            else:
                await self._rng.choices(choices, weights)[0]()
            await asyncio.sleep(self._rng.expovariate(1.0 / self._pace_s))

    async def _ask(self, what: str, work: Awaitable[Any], names: Iterable[str] = ()) -> Any:
        """The reply; None when it was refused, or when nobody knows (then anything may have become of the names)."""
        names = list(names)

        def doubt() -> None:
            self.may.update(dict.fromkeys(names, ANY))

        return await self._ask_about(what, work, doubt)

    async def _ask_about(self, what: str, work: Awaitable[Any], doubt: Callable[[], None]) -> Any:
        """The reply; None when it was refused, or when nobody knows, which is what `doubt` is called for."""
        self._trace.note(f"asks: {what}")
        try:
            reply = await work
        except (TimedOut, Unavailable) as error:
            self._trace.note(f"not answered: {what}: {error.message}")
            doubt()
            return None
        except ShoalError as error:
            self._trace.note(f"refused: {what}: {error.message}")
            self.refused.append(f"{what}: {error.message}")
            if isinstance(error, NotFound) and "namespace" in error.message:
                self._lost_track = True
            return None
        self.answered += 1
        self._trace.note(f"answered: {what}: {_brief(reply)}")
        return reply

    def _set(self, names: Iterable[str], *states: str) -> None:
        found = frozenset(states) | ({"ERROR"} if self._frail else set())
        for name in names:
            if self.may[name] != ANY:
                self.may[name] = found

    def _some(self, *states: str) -> list[str]:
        """A few of the VMs that are surely in one of these states."""
        wanted = frozenset(states) | ({"ERROR"} if self._frail else set())
        fitting = [name for name, may in self.may.items() if may <= wanted and may != ANY]
        if not fitting:
            return []
        count = min(len(fitting), self._at_once, self._rng.choice((1, 1, 2, 3, len(fitting))))
        return sorted(self._rng.sample(fitting, count))

    async def _begin(self) -> None:
        if await self._ask(f"namespace {self.name}", _done(self._ns.create())) is None:
            return
        self._queueing = self._bridge = False
        reply = await self._ask("ns queueing false", self._ns.call(SetQueueing(enabled=False)))
        self._lost_track = reply is None

    async def _launch_all(self) -> None:
        """Launch what is not there, and start it."""
        names = [name for name, may in self.may.items() if may == {"ABSENT"}]
        if names and not self._lost_track:
            reply = await self._ask(f"launch {fold(names)}", self._ns.launch(fold(names), _LAN), names)
            if reply is not None:
                self._launched(reply)
                await self._change("start", names, self._ns.start(fold(names)), "RUNNING")

    async def _launch(self) -> None:
        names = self._some("ABSENT")
        if not names:
            return
        config = self._rng.choice((_PLAIN, _LAN, _PRIVATE))
        if config is _PRIVATE and not self._bridge:
            self._bridge = (
                await self._ask("ns bridge own", self._ns.call(AddBridge(bridge="own"))) is not None
            )
            if not self._bridge:
                return
            self._attached.bridges = ("mega_bridge", "own")
        # without queueing, what is in the queue goes with it
        queued = self._queued()
        work = self._ns.launch(",".join(names), config)
        reply = await self._ask(f"launch {','.join(names)}", work, [*names, *queued])
        if reply is not None and reply.queued:
            self._set(names, "QUEUED")
        elif reply is not None:
            self._launched(reply)
            self._set(set(queued) - set(expand(reply.launched or "")), *ANY)

    def _queued(self) -> list[str]:
        return [name for name, may in self.may.items() if "QUEUED" in may and may <= {"QUEUED", "ERROR"}]

    def _launched(self, reply: Launched) -> None:
        good = set(expand(reply.launched)) if reply.launched else set()
        self._set(good & self.may.keys(), "BUILDING")
        for failure in reply.failures:
            name = failure.message.partition(":")[0]
            if name in self.may:
                self._set([name], "BUILDING", "ERROR")

    async def _change(self, verb: str, names: list[str], work: Awaitable[Changed], after: str) -> None:
        reply = await self._ask(f"{verb} {','.join(names)}", work, names)
        if reply is None:
            return
        good = set(expand(reply.vms)) if reply.vms else set()
        self._set(good & self.may.keys(), after)
        for name in set(names) - good:
            # it was told why; another look would tell how it is now
            self.may[name] = ANY if reply.failures else self.may[name]

    async def _start(self) -> None:
        names = self._some("BUILDING", "PAUSED", "QUIT")
        if names:
            await self._change("start", names, self._ns.start(",".join(names)), "RUNNING")

    async def _stop(self) -> None:
        names = self._some("RUNNING")
        if names:
            await self._change("stop", names, self._ns.stop(",".join(names)), "PAUSED")

    async def _kill(self) -> None:
        names = self._some(*_UP)
        if names:
            await self._change("kill", names, self._ns.kill(",".join(names)), "QUIT")

    async def _flush(self) -> None:
        names = self._some("QUIT")
        if names:
            await self._change("flush", names, self._ns.flush(",".join(names)), "ABSENT")

    async def _toggle_queueing(self) -> None:
        wanted = not self._queueing
        if await self._ask(f"queueing {wanted}", self._ns.call(SetQueueing(enabled=wanted))) is not None:
            self._queueing = wanted

    async def _schedule(self) -> None:
        queued = self._queued()
        if queued:
            reply = await self._ask("schedule", self._ns.schedule(), queued)
            if reply is not None:
                self._launched(reply)

    async def _flush_queue(self) -> None:
        queued = self._queued()
        if not queued or self._rng.random() < 0.5:
            return
        if await self._ask("flush the queue", self._ns.call(FlushQueue()), queued) is not None:
            self._set(queued, "ABSENT")

    async def _look(self) -> None:
        await self._ask("vm info", self._ns.vms())

    async def _clear(self) -> None:
        if self._rng.random() < 0.4:
            return
        reply = await self._ask("clear", _done(self._ns.clear()), self._names)
        self._attached.cleared(surely=reply is not None)
        self._lost_track = True
        if reply is not None:
            for name in self._names:
                self.may[name] = frozenset({"ABSENT"})

    async def _capture(self) -> None:
        for name in self._some(*_UP)[:1]:
            await self._attached.capture_vm(name)

    # --- the end -----------------------------------------------------------------------------------------

    async def judge(
        self, client: Client, queued: Iterable[str], files: Collection[str], captures: Captured
    ) -> list[str]:
        """What is not as it was promised. `queued`: the names that are in the queue; `files`: the cluster's."""
        ns = client.namespace(self.name)
        try:
            rows = {row.name: row.state for row in await ns.vms()}
        except NotFound:
            rows = {}
        waiting = set(queued)
        found = []
        for name, may in self.may.items():
            state = str(rows.get(name, "QUEUED" if name in waiting else "ABSENT"))
            if state not in may:
                found.append(f"{self.name}/{name} is {state}, and may be {sorted(may)}")
        return [*found, *await self._attached.judge(ns, files, captures)]


class Operator:
    """Somebody who looks after hosts."""

    def __init__(
        self, client: Client, hosts: list[str], namespaces: list[str], rng: random.Random, trace: Trace
    ) -> None:
        self._client = client
        self._hosts = hosts
        self._namespaces = namespaces
        self._rng = rng
        self._trace = trace

    async def run(self, until: float) -> None:
        """Do things until some time has come, then undo them."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            host = self._rng.choice(self._hosts)
            namespace = self._rng.choice(self._namespaces)
            act = self._rng.choice(("drain", "resume", "add", "remove", "look"))
            self._trace.note(f"asks: {act} {host} {namespace}")
            try:
                if act == "drain":
                    await self._client.call(DrainHosts(hosts=host))
                elif act == "resume":
                    await self._client.call(ResumeHosts(hosts=host))
                elif act == "add":
                    await self._client.call(AddHosts(hosts=host), namespace=namespace)
                elif act == "remove":
                    await self._client.call(RemoveHosts(hosts=host), namespace=namespace)
                else:
                    await self._client.call(ListMesh(which="status"))
            except ShoalError as error:
                self._trace.note(f"refused or not answered: {error.message}")
            await asyncio.sleep(self._rng.expovariate(0.3))


async def _done(work: Awaitable[object]) -> bool:
    await work
    return True


def _brief(reply: Any) -> str:
    if isinstance(reply, Launched):
        return (
            f"launched={reply.launched} queued={reply.queued} failures={[f.message for f in reply.failures]}"
        )
    if isinstance(reply, Changed):
        return f"{reply.vms} failures={[f.message for f in reply.failures]}"
    return type(reply).__name__
