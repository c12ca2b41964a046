"""Which worker is the worker of a host: claims are granted or refused here, before the worker does anything.

Refuses to know what a worker reports. Two workers under one name are found out by the heartbeats of the first.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message, Subscription
from shoal.core.addresses import check_underlay
from shoal.errors import Conflict, InvalidRequest, ShoalError
from shoal.messages.desired import Claim, Claimed
from shoal_orchestrator.acknowledging import Spawn
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import readdressed
from shoal_orchestrator.core.observed import SeenHost, host_state
from shoal_orchestrator.core.records import HostRecord
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.store import Store

LOG = structlog.get_logger("shoal.claims")
#: how long another worker of the same host must be silent before its host is given away
TAKEOVER_S = 2.5


class Claims:
    """The claims of a term."""

    def __init__(self, bus: Bus, store: Store, inventory: HostInventory, spawn: Spawn) -> None:
        self._bus = bus
        self._store = store
        self._inventory = inventory
        self._spawn = spawn

    async def subscribe(self) -> Subscription:
        """Listen to claims."""
        return await self._bus.subscribe(subjects.CLAIM, self._on_claim)

    def _on_claim(self, message: Message) -> None:
        if subjects.is_inbox(message.reply):
            self._spawn(self._claim(message), "claim")

    async def _claim(self, message: Message) -> None:
        try:
            claim = codec.decode(message.body, Claim, limit=codec.MAX_COMMAND_BYTES)
            body = codec.encode(await self._grant(claim))
            headers = None
        except ShoalError as error:
            body = codec.encode(codec.failure_of(error))
            headers = codec.error_headers(error)
        await self._bus.publish(message.reply, body, headers=headers)

    async def _grant(self, claim: Claim) -> Claimed:
        underlay = _underlay(claim)
        seen = self._inventory.hosts[claim.host]
        if seen.session not in ("", claim.session):
            await _check_silent(claim, seen)
        self._inventory.begin_session(claim.host, claim.session)
        known = self._store.model.hosts.get(claim.host)
        # A host that an operator has declared dead and that is back is a host again: what was launched elsewhere
        # meanwhile is `gone` here.
        record = HostRecord(
            name=claim.host,
            incarnation=claim.incarnation,
            role=claim.role,
            underlay=underlay,
            machine=claim.machine,
            version=claim.version,
            draining=known is not None and known.draining,
        )
        if known != record and not self._store.frozen:
            # While nothing may be changed its worker holds itself back, and can be asked for what it holds.
            changes = Changes()
            changes.put(record)
            if known is not None and known.incarnation != record.incarnation:
                changes.put(*readdressed(self._store.model, record.name, record.incarnation))
            await self._store.submit(changes)
        self._inventory.vm_counts.host_changed(claim.host)
        LOG.info("host-claimed", host=claim.host, role=claim.role, session=claim.session)
        cluster = self._store.model.cluster
        fence = self._store.fence
        return Claimed(
            store=fence.store,
            epoch=fence.epoch,
            nonce=fence.nonce,
            succeeds=fence.succeeds,
            frozen=self._store.frozen,
            head=cluster is not None and cluster.head == claim.host,
        )


def _underlay(claim: Claim) -> str:
    """The address that all other hosts are told to send to: one that is none would break each of their segments."""
    try:
        return check_underlay(claim.underlay) if claim.underlay else ""
    except InvalidRequest as error:
        raise InvalidRequest(
            f"cannot claim host {claim.host}: {error.message}; start its worker with another --underlay",
            names=(claim.host,),
        ) from error


async def _check_silent(claim: Claim, seen: SeenHost) -> None:
    """Refuse a claim while another worker's heartbeats arrive. One that was killed just now sends no more."""
    loop = asyncio.get_running_loop()
    heard_at, deadline = seen.heard_at, loop.time() + TAKEOVER_S
    while host_state(seen.heard_at, loop.time()) == "alive" and loop.time() < deadline:
        if seen.heard_at > heard_at:
            raise Conflict(
                f"cannot claim host {claim.host}: another worker has it (its heartbeats arrive); "
                "stop that one, or give this one another --host name",
                names=(claim.host,),
            )
        await asyncio.sleep(TAKEOVER_S / 10)
