"""Launches VMs of dead hosts again by itself, in the namespaces that ask for it (`ns recovery relaunch`).

Refuses to decide that a host is dead: only an operator does (`host forget --fenced`). What found no room is tried again
every few seconds, and so is what a predecessor did not come to.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal.core.ranges import fold
from shoal.errors import ShoalError
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.launching import SLICE
from shoal_orchestrator.core.recovering import move_elsewhere
from shoal_orchestrator.handlers.recovery import all_stranded, new_homes
from shoal_orchestrator.leader import Leader

LOG = structlog.get_logger("shoal.relaunching")
LOOK_S = 2.0


class Relaunching:
    """The watch over stranded VMs of a term."""

    def __init__(self, leader: Leader) -> None:
        self._leader = leader
        #: what was said last of a namespace: once for each reason, not every two seconds
        self._said: dict[str, str] = {}

    async def run(self) -> None:
        """Look every two seconds, until cancelled."""
        while True:
            stranded = {} if self._leader.store.frozen else all_stranded(self._leader)
            for namespace, vms in stranded.items():
                try:
                    await self._relaunch(namespace, vms)
                except ShoalError as error:
                    self._say(namespace, error.message)
            await asyncio.sleep(LOOK_S)

    async def _relaunch(self, namespace: str, vms: list[LaunchRecord]) -> None:
        homes, reasons = new_homes(self._leader, namespace, vms)
        placed = [vm for vm in vms if vm.name in homes]
        for at in range(0, len(placed), SLICE):
            part = placed[at : at + SLICE]
            changes, moved = move_elsewhere(self._leader.model, homes, part, self._leader.ids)
            await self._leader.commit(changes)
            LOG.info("vms-relaunched", namespace=namespace, vms=fold(vm.name for vm in moved))
        if reasons:
            self._say(namespace, "; ".join(reasons))

    def _say(self, namespace: str, reason: str) -> None:
        if self._said.get(namespace) != reason:
            LOG.warning("vms-not-relaunched", namespace=namespace, reason=reason)
            self._said[namespace] = reason
