"""Events that a predecessor did not come to publish, or that were dropped: found, and published now.

Refuses to know which ones these are (`core.missing_events`).
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
import structlog

from shoal.errors import ShoalError
from shoal_orchestrator.core.missing_events import missing_events
from shoal_orchestrator.core.told import Told
from shoal_orchestrator.leader import Leader

LOG = structlog.get_logger("shoal.events")
#: the last events are read again after this, when they could not be read
AGAIN_S = 5.0
#: others get their turn after so many events that were read
TURN = 500
#: more than these are not added to what waits to be sent
WAITING = 10_000


async def publish_missing(leader: Leader) -> None:
    """Read what was told before, and publish what is missing: now, and again whenever events were dropped."""
    leader.events.told.inherit(await _read(leader))
    while True:
        count = await _catch_up(leader)
        if count:
            LOG.info("missing-events-published", count=count)
        await leader.events.dropped()


async def _read(leader: Leader) -> Told:
    """The last events of all objects, however long it takes to get them."""
    while True:
        told = Told()
        try:
            async with contextlib.aclosing(leader.store.last_events()) as events:
                count = 0
                async for stored in events:
                    told.take_stored(stored.subject, stored.body)
                    count += 1
                    if count % TURN == 0:
                        await asyncio.sleep(0)
        except ShoalError as error:
            LOG.warning("last-events-not-read", error=error.message)
            await asyncio.sleep(AGAIN_S)
        else:
            LOG.info("last-events-read", subjects=count)
            return told


async def _catch_up(leader: Leader) -> int:
    events, count = leader.events, 0
    # A store that has just begun does not know what an earlier one had: that is not gone.
    missing = missing_events(
        events.told, leader.model, leader.inventory.hosts, removals=leader.store.fence.epoch > 1
    )
    for portion in missing:
        events.publish(msgspec.structs.replace(event, late=True) for event in portion)
        count += len(portion)
        if events.waiting > WAITING:
            await events.sent()
        await asyncio.sleep(0)
    return count
