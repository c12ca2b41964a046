"""Claims the host for this worker, and tells the leader once a second how it is.

Refuses to know VMs and links. The worker acts only while its claim stands: two workers under one name, and a
leader that is older than one heard before, are found out before anything is done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message
from shoal.errors import Conflict, InvalidRequest, ShoalError
from shoal.messages.base import Failure
from shoal.messages.desired import Claim, Claimed, Heartbeat, HeartbeatAck
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_worker.core.leaders import Seen, objection
from shoal_worker.journal import Entry, Journal
from shoal_worker.measures import HEARTBEATS

HEARTBEAT_S = 1.0
CLAIM_TIMEOUT_S = 5.0
CLAIM_AGAIN_S = 1.0


class Heart:
    """One host's claim and pulse.

    `pulse` makes the heartbeat; `acknowledged` is told what the leader thinks that we hold.
    """

    def __init__(
        self,
        bus: Bus,
        claim: Claim,
        journal: Journal,
        *,
        pulse: Callable[[], Heartbeat],
        acknowledged: Callable[[HeartbeatAck], None],
        gate: Callable[[], AbstractAsyncContextManager[object]],
        rng: random.Random,
        log: Any,
        metrics: Metrics = NOBODY,
    ) -> None:
        self._bus = bus
        self._claim = claim
        self._journal = journal
        self._pulse = pulse
        self._acknowledged = acknowledged
        self._gate = gate
        self._rng = rng
        self._log = log
        self._metrics = metrics
        #: heartbeats that were due since the leader last acknowledged one
        self.unacknowledged = 0
        self._inbox = subjects.acknowledgements(claim.session)
        #: set while the claim stands: only then the worker acts
        self.claimed = asyncio.Event()
        #: why it does not stand although the leader would have it so
        self.held_back = ""
        self._said = ""
        # Whether the leader has granted the host, as two events: only what is set can be awaited.
        self._owned = asyncio.Event()
        self._unclaimed = asyncio.Event()
        self._unclaimed.set()

    async def subscribe(self) -> None:
        """Listen to acknowledgements; in force once the bus has settled."""
        await self._bus.subscribe(self._inbox, self._on_acknowledgement)

    async def run(self) -> None:
        """Claim the host and beat, until cancelled. Raises Conflict when another worker has the host."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_claim())
            group.create_task(self._beat())

    # --- the claim ---------------------------------------------------------------------------------------

    async def _keep_claim(self) -> None:
        said = ""
        while True:
            await self._unclaimed.wait()
            try:
                async with self._gate():
                    claimed = await self._ask()
            except Conflict:
                raise
            except ShoalError as error:
                # Once for each reason, not once a second.
                if error.message != said:
                    self._log.warning("claim-waits", error=error.message)
                said = error.message
                await asyncio.sleep(CLAIM_AGAIN_S * self._rng.uniform(0.9, 1.1))
                continue
            said = ""
            self._unclaimed.clear()
            self._owned.set()
            self._log.info("host-claimed", store=claimed.store, epoch=claimed.epoch, head=claimed.head)
            self._judge(claimed)

    async def _ask(self) -> Claimed:
        answer = await self._bus.request(subjects.CLAIM, codec.encode(self._claim), timeout_s=CLAIM_TIMEOUT_S)
        if codec.ERROR_HEADER in answer.headers:
            raise codec.error_of(codec.decode(answer.body, Failure))
        return codec.decode(answer.body, Claimed)

    def _judge(self, said: Claimed | HeartbeatAck) -> None:
        """Let the worker act, unless this leader knows less than one that was heard before, or says so itself."""
        journal, leader = self._journal, Seen(said.store, said.epoch, said.nonce)
        holds = bool(journal.outcomes or journal.taps)
        self.held_back = objection(journal.seen, leader, succeeds=said.succeeds, holds=holds) or said.frozen
        if self.held_back:
            if self.claimed.is_set() or self._said != self.held_back:
                self._log.error("held-back", reason=self.held_back)
            self._said = self.held_back
            self.claimed.clear()
            return
        self._said = ""
        if leader != journal.seen:
            journal.put(Entry(seen=leader))
        self.claimed.set()

    # --- the pulse ---------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await self._owned.wait()
            self.unacknowledged += 1
            # While the server is away they would pile up, and all arrive when nobody needs them any more.
            if self._bus.connected:
                try:
                    await self._bus.publish(
                        subjects.heartbeat(self._claim.host), codec.encode(self._pulse()), reply=self._inbox
                    )
                    self._metrics.count(HEARTBEATS)
                except ShoalError as error:
                    self._log.debug("heartbeat-lost", error=error.message)
            await asyncio.sleep(HEARTBEAT_S * self._rng.uniform(0.95, 1.05))

    def _on_acknowledgement(self, message: Message) -> None:
        if "Status" in message.headers:
            # The server says that nobody hears our heartbeats: there is no leader now.
            return
        try:
            ack = codec.decode(message.body, HeartbeatAck, limit=codec.MAX_COMMAND_BYTES)
        except InvalidRequest as error:
            self._log.warning("acknowledgement-set-aside", error=error.message)
            return
        self.unacknowledged = 0
        if not ack.claimed:
            if self._owned.is_set():
                self._log.warning("claim-lost", store=ack.store, epoch=ack.epoch)
            self.claimed.clear()
            self._owned.clear()
            self._unclaimed.set()
            return
        if not self._owned.is_set():
            return
        self._judge(ack)
        if self.claimed.is_set():
            self._acknowledged(ack)
