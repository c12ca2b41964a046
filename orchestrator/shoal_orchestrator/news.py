"""Who waits until something has changed, and on which hosts it has since it was last looked at.

Refuses to know what changes and what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet

#: a change that is no single host's: it may be everybody's
ANYWHERE = ""


class _Waiter:
    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.hosts = {ANYWHERE}


class News:
    """What is told to those who wait. However much is told between two looks, one look follows."""

    def __init__(self) -> None:
        # in the order of waiting, so that who is woken first is no matter of addresses
        self._waiting: dict[_Waiter, None] = {}

    def tell(self, host: str = ANYWHERE) -> None:
        """Something has changed: on `host`, or anywhere."""
        for waiter in self._waiting:
            waiter.hosts.add(host)
            waiter.woken.set()

    async def wait(self, done: Callable[[AbstractSet[str]], bool]) -> None:
        """Wait until `done(hosts)` is true. It is asked at once, and again after changes.

        `hosts` are those with changes since it was last asked; ANYWHERE among them stands for all.
        """
        waiter = _Waiter()
        self._waiting[waiter] = None
        try:
            while not done(waiter.hosts):
                waiter.hosts = set()
                waiter.woken.clear()
                await waiter.woken.wait()
        finally:
            del self._waiting[waiter]
