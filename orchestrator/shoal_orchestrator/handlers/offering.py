"""Puts files of the head's files directory into the cluster, when somebody wants to launch with them.

Refuses to know what the files are for. What cannot be had is no error here: whoever needs the file says that it is
not there.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from shoal.errors import ShoalError
from shoal.messages.host_requests import OfferFile
from shoal_orchestrator.handlers.results import name_content
from shoal_orchestrator.leader import Call, Leader

LOG = structlog.get_logger("shoal.files")


async def offered(leader: Leader, names: Iterable[str], call: Call) -> None:
    """Have the head's worker put those of these files into the cluster that are not there, and that it has."""
    head = leader.cluster.head
    for name in names:
        if name in leader.model.files or leader.inventory.state(head) != "alive":
            continue
        try:
            with leader.shelf.awaiting():
                content = await leader.workers.ask(head, OfferFile(name=name), call.progress)
                if content.digest:
                    await name_content(leader, name, content, replace=False)
                    LOG.info("file-offered", file=name, size=content.size)
        except ShoalError as error:
            # Somebody may have put another one meanwhile: that one stays, and nothing is missing.
            if name not in leader.model.files:
                LOG.warning("file-not-offered", file=name, error=error.message)
