"""Answers heartbeats: whether the claim stands, and what the host should hold.

Refuses to judge heartbeats. Ten thousand hosts owe ten thousand answers a second: those of heartbeats that arrived
together are sent by one task, since a task for each costs more than the answer.
"""

from __future__ import annotations

from collections.abc import Callable

from shoal import codec, subjects
from shoal.bus.protocol import Bus
from shoal.messages.desired import HeartbeatAck
from shoal_orchestrator.desired_counts import DesiredCounts
from shoal_orchestrator.store import Store

#: called with a coroutine and its name: runs it beside the caller
Spawn = Callable[..., None]


class Acknowledgements:
    """The answers to heartbeats that are still to be sent."""

    def __init__(self, bus: Bus, store: Store, spawn: Spawn) -> None:
        self._bus = bus
        self._store = store
        self._spawn = spawn
        self.counts = DesiredCounts(store)
        self._owed: list[tuple[str, str, bool]] = []
        self._sending = False

    def owe(self, host: str, reply: str, *, claimed: bool) -> None:
        """Answer a heartbeat of `host` soon. Who wants no answer, or wants it where no inbox is, gets none."""
        if not subjects.is_inbox(reply):
            return
        self._owed.append((host, reply, claimed))
        if not self._sending:
            self._sending = True
            self._spawn(self._send(), "heartbeat-acks")

    async def _send(self) -> None:
        try:
            while self._owed:
                owed, self._owed = self._owed, []
                for host, reply, claimed in owed:
                    await self._bus.publish(reply, codec.encode(self._of(host, claimed=claimed)))
        finally:
            # Should one not go out, the next heartbeats are answered all the same.
            self._sending = False

    def _of(self, host: str, *, claimed: bool) -> HeartbeatAck:
        count, sequence = self.counts.of(host)
        fence = self._store.fence
        return HeartbeatAck(
            store=fence.store,
            epoch=fence.epoch,
            nonce=fence.nonce,
            succeeds=fence.succeeds,
            frozen=self._store.frozen,
            claimed=claimed,
            stored=count,
            sequence=sequence,
        )
