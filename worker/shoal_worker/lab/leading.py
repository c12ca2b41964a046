"""Which process of this machine leads a cluster, as its fence tells.

Refuses to know how the lead is taken: the orchestrator's `holder` and `leases` say what a fence is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable

from shoal import subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Bus
from shoal.errors import ShoalError

_LOOK_S = 0.5
_ANSWER_S = 2.0


async def follow(url: str, tell: Callable[[int], None]) -> None:
    """Call `tell` with the process number of the leader, again and again, until cancelled. 0: nobody's is known."""
    while True:
        with contextlib.suppress(ShoalError):  # NATS may be one of the processes that people kill here
            async with await connect(url, name="shoal-lab") as bus:
                while True:
                    tell(await leader_pid(bus))
                    await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(_LOOK_S)


async def leader_pid(bus: Bus) -> int:
    """The process number in the fence; 0 when there is no fence, or it names none."""
    ask = json.dumps({"last_by_subj": subjects.FENCE}).encode()
    answer = await bus.request(f"$JS.API.STREAM.MSG.GET.{subjects.STATE_STREAM}", ask, timeout_s=_ANSWER_S)
    with contextlib.suppress(ValueError, LookupError):
        fence = json.loads(base64.b64decode(json.loads(answer.body)["message"]["data"]))
        return int(fence["holder"].split("/")[2])
    return 0
