"""Rounds of a soak: VMs are launched and started while something dies; then each runs once, where the records say."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import Awaitable, Callable
from itertools import count

from tests.waiting import eventually

from shoal import Client
from shoal.core.ranges import expand
from shoal.errors import TimedOut, Unavailable
from shoal.messages.base import Reply, Request
from shoal.messages.vms import LaunchVMs, StartVMs
from shoal.testing import Cluster
from shoal_worker.kept_guests import GUESTS

VMS = 200
#: one request for so many of them
AT_ONCE = 20
#: within so many seconds from the first request something dies; the last VM runs about then when nothing does
MOMENTS_S = 0.8
ROUND_S = 120.0

Fault = Callable[[Cluster, random.Random], Awaitable[str]]


def held(running: Cluster) -> dict[str, list[tuple[str, str, str, str]]]:
    """The guests that simulated hosts hold, by instance: host, namespace, name, state. Two for one would be a bug."""
    found: dict[str, list[tuple[str, str, str, str]]] = {}
    for host in running.hosts:
        guests = {}
        file = running.state / host / GUESTS
        for line in file.read_text().splitlines() if file.exists() else ():
            said = json.loads(line)
            guests[said["instance"]] = said.get("guest")
        for instance, guest in guests.items():
            if guest is not None:
                found.setdefault(instance, []).append(
                    (host, guest["namespace"], guest["name"], guest["state"])
                )
    return found


class Soak:
    """Rounds on one cluster. `repeated` counts requests that were answered by an error and sent again."""

    def __init__(self, running: Cluster, client: Client, rng: random.Random) -> None:
        self.running, self.client, self.rng = running, client, rng
        self.repeated = 0
        #: rounds after which each VM ran, once
        self.right = 0
        self._numbers = count(1)

    async def safely(self, request: Request[Reply], namespace: str) -> Reply:
        """Send a request until it is answered, under one id: what is answered by an error is asked again."""
        while True:
            try:
                return await self.client.call(request, namespace=namespace)
            except (Unavailable, TimedOut):
                self.repeated += 1

    async def round(self, fault: Fault) -> str:
        """Launch and start VMs while something dies; afterwards each runs, once. What died, for people."""
        name = f"round{next(self._numbers)}"
        ns = self.client.namespace(name)
        await ns.create()
        moment = self.rng.uniform(0, MOMENTS_S)

        async def die() -> str:
            await asyncio.sleep(moment)
            return await fault(self.running, self.rng)

        async def some(first: int) -> None:
            names = f"vm[{first}-{first + AT_ONCE - 1}]"
            for request in (LaunchVMs(names=names, id=_id()), StartVMs(target=names, id=_id())):
                await self.safely(request, name)

        async with asyncio.timeout(ROUND_S):
            dying = asyncio.ensure_future(die())
            await asyncio.gather(*(some(first) for first in range(0, VMS, AT_ONCE)))
            what = await dying
            await eventually(lambda: self._all_run(name), f"{VMS} VMs of {name} run, once each", ROUND_S)
            await ns.clear()
            await eventually(self._none, f"no guest is left of {name}", ROUND_S)
        self.right += 1
        return f"{what} after {moment:.2f} s"

    async def _all_run(self, namespace: str) -> bool:
        """Whether each VM runs, on one host, as one guest, and there is no guest beside."""
        rows = await self.client.namespace(namespace).vms()
        names = sorted(expand(f"vm[0-{VMS - 1}]"))
        assert sorted(row.name for row in rows) == names
        guests = held(self.running)
        assert all(len(each) == 1 for each in guests.values()), "an instance has guests on two hosts"
        alive = [guest for (guest,) in guests.values() if guest[3] in ("paused", "running")]
        assert len({guest[1:3] for guest in alive}) == len(alive), "a VM has two guests"
        there = {(instance, *guest) for instance, (guest,) in guests.items()}
        return there == {(row.instance, row.host, namespace, row.name, "running") for row in rows} and all(
            row.state == "RUNNING" for row in rows
        )

    async def _none(self) -> bool:
        return not held(self.running)


def _id() -> str:
    return secrets.token_hex(12)
