"""Whether the replicas of a stream are in step with its leader: any of them may answer a direct get.

Refuses to know what the stream holds.
"""

from __future__ import annotations

import asyncio
import json

from shoal.bus.protocol import Bus
from shoal.errors import StoreUnavailable

_ANSWER_S = 5.0
_LOOK_S = 0.05
#: a replica that lags for longer than this has troubles of its own
_PATIENCE_S = 5.0


async def in_step(bus: Bus, stream: str) -> None:
    """Wait until every replica that is there has all that the leader had stored when this was called.

    StoreUnavailable, with its name, when one does not catch up within five seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_S
    while True:
        answer = await bus.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout_s=_ANSWER_S)
        behind = lagging(answer.body)
        if not behind:
            return
        if loop.time() > deadline:
            raise StoreUnavailable(
                f"the replica of {stream} on {behind[0]} does not catch up: see that server's log, or stop it"
            )
        await asyncio.sleep(_LOOK_S)


def lagging(info: bytes) -> list[str]:
    """The names of replicas that are there and lag, in an answer of the STREAM.INFO API (NATS JetStream API, v1)."""
    replicas = json.loads(info).get("cluster", {}).get("replicas") or []
    return [
        replica["name"]
        for replica in replicas
        if not replica.get("offline") and (replica.get("lag", 0) or not replica.get("current"))
    ]
