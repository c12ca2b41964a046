"""Lets hosts age by the time since their last heartbeat: alive, suspect, lost.

Refuses to know what is done about it. Time in which this orchestrator was itself away, or slow, is nobody's age. When
more hosts fall silent together than fail by chance, none is declared lost: then it is the network, and people look.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal.bus.protocol import Bus
from shoal_orchestrator.core.losing import mass_loss
from shoal_orchestrator.core.observed import host_state
from shoal_orchestrator.inventory import HostInventory

LOG = structlog.get_logger("shoal.aging")
TICK_S = 0.5


class Aging:
    """The watch over the hosts of a term."""

    def __init__(self, bus: Bus, inventory: HostInventory) -> None:
        self._bus = bus
        self._inventory = inventory

    async def run(self) -> None:
        """Look twice a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(TICK_S)
            now = loop.time()
            self._inventory.vm_counts.catch_up()
            if not self._bus.connected or now - before - TICK_S > TICK_S:
                for seen in self._inventory.hosts.values():
                    seen.heard_at += now - before
            else:
                self._look(now)

    def _look(self, now: float) -> None:
        hosts = self._inventory.hosts
        # Nearly all of them, nearly always, are alive and were heard just now: they are only counted.
        silent = [
            host
            for host, seen in hosts.items()
            if seen.state != "alive" or host_state(seen.heard_at, now) != "alive"
        ]
        counted = [
            now - hosts[host].heard_at
            for host in silent
            if hosts[host].state != "lost" and hosts[host].heartbeat is not None
        ]
        known_hosts = len(hosts) - len(silent) + len(counted)
        frozen = mass_loss(counted, known_hosts)
        if frozen and not self._inventory.frozen:
            LOG.error("mass-loss", silent=frozen, hosts=known_hosts, done="none of them is declared lost")
        elif self._inventory.frozen and not frozen:
            LOG.info("mass-loss-over")
        self._inventory.frozen = frozen
        for host in silent:
            seen = hosts[host]
            state = host_state(seen.heard_at, now)
            # Of a host that this leader has never heard nothing is known, until it has been silent for long.
            known = seen.heartbeat is not None or state == "lost"
            if state != seen.state and known and not (state == "lost" and frozen):
                self._inventory.move(host, state)
