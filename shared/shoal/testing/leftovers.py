"""What a cluster must not leave behind: errors that nobody looked at, in its logs, and consumers of its streams.

Refuses to know how a cluster is run.
"""

from __future__ import annotations

import asyncio
import json

from shoal.bus.connection import connect
from shoal.bus.protocol import Bus
from shoal.errors import ShoalError

#: what Python and our own guards say of an error that nobody expected (asyncio, "Detect never-retrieved exceptions")
_COMPLAINTS = (
    "Traceback (most recent call last)",
    "exception was never retrieved",
    "was never awaited",
    "Task was destroyed but it is pending",
    "Exception ignored in",
)
#: who has just gone away may still be heard of
_PATIENCE_S = 10.0
_LOOK_S = 0.1
_ANSWER_S = 2.0


def complaints(log: str) -> list[str]:
    """The lines of a log that tell of an error which nobody expected, or which nobody looked at."""
    return [line for line in log.splitlines() if any(words in line for words in _COMPLAINTS)]


async def consumers_left(url: str) -> list[str]:
    """The consumers that stay on the streams of a server when everybody had time to go; none where it does not answer.

    Shoal keeps no consumer: each is one that somebody forgot.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_S
    try:
        async with await connect(url, name="shoal-testing") as bus:
            while (left := await _consumers(bus)) and loop.time() < deadline:  # noqa: ASYNC110  (the server tells nobody)
                await asyncio.sleep(_LOOK_S)
    except ShoalError:
        return []
    return left


async def _consumers(bus: Bus) -> list[str]:
    streams = json.loads((await bus.request("$JS.API.STREAM.NAMES", b"", timeout_s=_ANSWER_S)).body)
    found = []
    for stream in streams.get("streams") or ():
        answer = await bus.request(f"$JS.API.CONSUMER.NAMES.{stream}", b"", timeout_s=_ANSWER_S)
        found += [f"{stream}: consumer {name}" for name in json.loads(answer.body).get("consumers") or ()]
    return found
