"""Who waits is asked again after changes, and told where they were."""

from __future__ import annotations

import asyncio
from collections.abc import Set as AbstractSet

from shoal_orchestrator.news import ANYWHERE, News


async def test_who_waits_is_told_where_something_has_changed() -> None:
    """The first look is at everything; the next ones at the hosts that were told of meanwhile, once for all of them."""
    news, seen = News(), []

    def done(hosts: AbstractSet[str]) -> bool:
        seen.append(set(hosts))
        return len(seen) == 4

    waiting = asyncio.ensure_future(news.wait(done))
    await asyncio.sleep(0)
    news.tell("mm1")
    news.tell("mm2")
    news.tell("mm1")
    await asyncio.sleep(0)
    news.tell()
    await asyncio.sleep(0)
    assert not waiting.done()
    news.tell("mm3")
    await asyncio.wait_for(waiting, 5)
    assert seen == [{ANYWHERE}, {"mm1", "mm2"}, {ANYWHERE}, {"mm3"}]


async def test_what_is_so_already_is_not_waited_for() -> None:
    """A condition that holds at the first look ends the wait, and so does a cancellation; nobody is told any more."""
    news = News()
    await asyncio.wait_for(news.wait(lambda _: True), 5)
    looks = 0

    def never(_: AbstractSet[str]) -> bool:
        nonlocal looks
        looks += 1
        return False

    waiting = asyncio.ensure_future(news.wait(never))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait((waiting,))
    news.tell("mm1")
    await asyncio.sleep(0)
    assert looks == 1
