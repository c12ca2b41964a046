"""The orchestrator as a whole: takes the lead, wires everything, goes on with what was begun, answers.

Refuses to decide anything. All tasks of a term live in one task group; the first that fails ends the term.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from typing import Any

import structlog

from shoal.bus.connection import NatsBus
from shoal.bus.micro import serve
from shoal.bus.protocol import BlobStore, StateStream
from shoal.core.ids import Ids
from shoal.errors import ShoalError
from shoal.messages.catalogue import COMMANDS
from shoal.version import version
from shoal_orchestrator.api import Api
from shoal_orchestrator.background import Background
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import DEFAULT_NAMESPACE, ClusterRecord, NamespaceRecord
from shoal_orchestrator.event_log import EventLog
from shoal_orchestrator.file_shelf import FileShelf
from shoal_orchestrator.handlers import HANDLERS
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.leader import Leader
from shoal_orchestrator.settings import Settings
from shoal_orchestrator.store import Store
from shoal_orchestrator.workers import Workers

LOG = structlog.get_logger("shoal.orchestrator")
DESCRIPTION = "Shoal: pools hosts into namespaces and launches virtual machines in them"


class Orchestrator:
    """One orchestrator. `run` leads until it is cancelled, deposed, or the store is lost."""

    def __init__(
        self,
        bus: NatsBus,
        stream: StateStream,
        blobs: BlobStore,
        settings: Settings,
        ids: Ids | None = None,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._blobs = blobs
        self._settings = settings
        self._ids: Ids = ids or random.SystemRandom()
        #: set once requests are answered
        self.ready = asyncio.Event()
        self.leader: Leader | None = None

    async def run(self) -> None:
        """Lead one term. Deposed when another took over, StoreUnavailable when the store is lost."""
        await self._stream.ensure(replicas=self._settings.replicas)
        await self._blobs.ensure(replicas=self._settings.replicas)
        store = Store(self._stream, self._ids)
        await store.take_over()
        try:
            # What the bus delivers to ends last: by then nothing new may come, and nobody is left to take it.
            async with asyncio.TaskGroup() as tasks, contextlib.AsyncExitStack() as ending:
                await self._lead(store, tasks, ending)
                await asyncio.Event().wait()
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _lead(self, store: Store, tasks: asyncio.TaskGroup, ending: contextlib.AsyncExitStack) -> None:
        def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
            tasks.create_task(_guarded(work, name), name=name)

        tasks.create_task(store.run(), name="store")
        tasks.create_task(store.bury(), name="bury")
        events = EventLog(store, self._ids)
        tasks.create_task(events.run(), name="events")
        inventory = HostInventory(self._bus, store, spawn)
        shelf = FileShelf(self._blobs, store.model)
        leader = Leader(
            store=store,
            inventory=inventory,
            events=events,
            shelf=shelf,
            workers=Workers(self._bus, inventory),
            ids=self._ids,
            spawn=spawn,
        )
        self.leader = leader
        await self._prepare(leader)
        inventory.expect(store.model.hosts)
        for subscription in await inventory.subscribe():
            ending.push_async_callback(subscription.stop)
        tasks.create_task(inventory.watch(), name="hosts")
        tasks.create_task(shelf.run(), name="files")
        background = Background(leader)
        tasks.create_task(background.run(), name="background")
        background.resume()
        api = Api(self._bus, leader, COMMANDS, HANDLERS)
        service = serve(
            self._bus, name="shoal", version=version(), description=DESCRIPTION, endpoints=api.endpoints()
        )
        await ending.enter_async_context(service)
        LOG.info("leading", epoch=store.fence.epoch, head=leader.cluster.head)
        self.ready.set()

    async def _prepare(self, leader: Leader) -> None:
        """The records that every cluster has."""
        changes = Changes()
        if leader.model.cluster is None:
            changes.put(
                ClusterRecord(
                    store=leader.store.fence.store,
                    head=self._settings.head,
                    udp_port=self._settings.udp_port,
                    first_key=self._settings.first_key,
                )
            )
        if DEFAULT_NAMESPACE not in leader.model.namespaces:
            changes.put(NamespaceRecord(name=DEFAULT_NAMESPACE))
        await leader.commit(changes)


async def _guarded(work: Coroutine[Any, Any, None], name: str) -> None:
    """Background work that fails is told of; it does not take the orchestrator with it."""
    try:
        await work
    except ShoalError as error:
        LOG.warning("work-failed", work=name, error=error.message)
    except Exception:
        LOG.exception("work-failed", work=name)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
