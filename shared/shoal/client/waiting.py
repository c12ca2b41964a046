"""Waiting until VMs are in a state: events say when it is worth while to look, and a listing decides.

Refuses to change anything. Events alone would not do: a host that is lost takes its VMs with it without one for
each, and what a new orchestrator has not told yet is in its list already.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import get_args

from shoal.client.events import Events
from shoal.core.ranges import fold
from shoal.errors import InvalidRequest, OtherVersion, TimedOut, Unavailable
from shoal.messages.desired import State
from shoal.messages.events import VMEvent, VMFailed, VMLaunched, VMPaused, VMQuit, VMStarted
from shoal.messages.vms import VMRow

#: how soon to look again although no event says so, at the earliest
LOOK_S = 1.0
#: looking may take this part of the time at most
LOOKING = 0.1
#: how often, when there are no events to be had
POLL_S = 0.5

_STATES: dict[type[VMEvent], State] = {
    VMLaunched: "BUILDING",
    VMStarted: "RUNNING",
    VMPaused: "PAUSED",
    VMQuit: "QUIT",
    VMFailed: "ERROR",
}

List = Callable[[], Awaitable[list[VMRow]]]


class Waiting:
    """Waits for `names` to be in `state`. `look` lists those that are there; `events` are of their namespace."""

    def __init__(self, names: Iterable[str], state: State, *, look: List, events: Events, where: str) -> None:
        if state not in get_args(State):
            raise InvalidRequest(f"no such state: {state!r}; VMs are {', '.join(get_args(State))}")
        self._names = list(dict.fromkeys(names))
        self._state = state
        self._look = look
        self._events = events
        self._where = where
        self._rows: dict[str, VMRow] = {}
        self._trouble = ""

    async def wait(self, timeout_s: float | None) -> list[VMRow]:
        """The VMs, in the order of their names. TimedOut says which are not in the state, and what they are instead."""
        try:
            if timeout_s == 0:
                if await self._looked():
                    return self._found()
                raise TimeoutError
            async with asyncio.timeout(timeout_s):
                return await self._wait()
        except TimeoutError:
            details = tuple(self._told(name) for name in self._missing())
            text = f"not {self._state} within {timeout_s:g} s in namespace {self._where}: {fold(self._missing())}"
            raise TimedOut(f"{text}{self._trouble}", details=details, names=tuple(self._missing())) from None
        finally:
            await self._events.aclose()

    async def _wait(self) -> list[VMRow]:
        # From before the first look on, so that nothing happens in between unseen.
        awake = True
        try:
            await self._events.__aenter__()
        except (Unavailable, TimedOut):
            awake = False
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if await self._looked():
                return self._found()
            if awake:
                await self._follow(max(LOOK_S, (loop.time() - began) / LOOKING))
            else:
                await asyncio.sleep(POLL_S)

    async def _looked(self) -> bool:
        """Look how things are, and tell whether all are in the state."""
        try:
            self._rows = {row.name: row for row in await self._look()}
        except OtherVersion:
            raise
        except (Unavailable, TimedOut) as error:
            self._trouble = f" ({error})"
            return False
        self._trouble = ""
        return not self._missing()

    def _found(self) -> list[VMRow]:
        return [self._rows[name] for name in self._names]

    def _missing(self) -> list[str]:
        return [
            name for name in self._names if name not in self._rows or self._rows[name].state != self._state
        ]

    async def _follow(self, most_s: float) -> None:
        """Follow events until they say that all are in the state, but no longer than `most_s`."""
        left = set(self._missing())
        wanted = set(self._names)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while left:
                    event = await anext(self._events)
                    if event.name in wanted and isinstance(event, VMEvent):
                        if _STATES.get(type(event)) == self._state:
                            left.discard(event.name)
                        else:
                            left.add(event.name)

    def _told(self, name: str) -> str:
        row = self._rows.get(name)
        if row is None:
            return f"{name}: there is no such VM"
        return f"{name}: {row.state} on {row.host}" + (f" ({row.reason})" if row.reason else "")
