"""The orchestrator as a whole: stands by, takes the lead, wires everything, goes on with what was begun, answers.

Refuses to decide anything. All tasks of a term live in one task group; the first that fails ends the term.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from shoal.bus.backlog import Backlog
from shoal.bus.micro import serve
from shoal.bus.protocol import BlobStore, Bus, StateStream
from shoal.bus.store_check import check_store
from shoal.core.ids import Ids
from shoal.errors import ShoalError
from shoal.messages.catalogue import COMMANDS
from shoal.metrics.protocol import NOBODY, Metrics
from shoal.version import version
from shoal_orchestrator.aging import Aging
from shoal_orchestrator.api import Api
from shoal_orchestrator.background import Background
from shoal_orchestrator.claims import Claims
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import DEFAULT_NAMESPACE, ClusterRecord, NamespaceRecord
from shoal_orchestrator.event_log import EventLog
from shoal_orchestrator.file_shelf import FileShelf
from shoal_orchestrator.gauges import readings_of
from shoal_orchestrator.handlers import HANDLERS
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.leader import Leader
from shoal_orchestrator.leadership import Standby
from shoal_orchestrator.relaunching import Relaunching
from shoal_orchestrator.settings import Settings
from shoal_orchestrator.store import Store
from shoal_orchestrator.workers import Workers

LOG = structlog.get_logger("shoal.orchestrator")
DESCRIPTION = "Shoal: pools hosts into namespaces and launches virtual machines in them"

#: how long a new leader waits for every host that the cluster knows, before it acts
KNOWN_HOSTS_S = 5.0
#: how long what was decided may take to be stored when the lead is handed over
HAND_OVER_S = 5.0
#: how long of it events may take; the next leader publishes what is missing
EVENTS_S = 0.5


class Orchestrator:
    """One orchestrator. `run` stands by and leads one term.

    `holder` names our process in the fence; `gone` tells of another's whether it has ended, False where it cannot know.
    """

    def __init__(
        self,
        bus: Bus,
        stream: StateStream,
        blobs: BlobStore,
        settings: Settings,
        ids: Ids | None = None,
        *,
        holder: str = "",
        gone: Callable[[str], bool] = lambda _: False,
        metrics: Metrics = NOBODY,
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._blobs = blobs
        self._settings = settings
        self._ids: Ids = ids or random.SystemRandom()
        #: set once another orchestrator was found to lead
        self.standing_by = asyncio.Event()
        #: set once requests are answered
        self.ready = asyncio.Event()
        self.leader: Leader | None = None
        self._holder = holder
        self._gone = gone
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._work: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End the term, if one is led, and hand the lead over: `run` then returns. Otherwise cancel `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Stand by until nobody leads, and lead one term.

        Returns after `stop`. Deposed when another took over, StoreUnavailable when the store is lost.
        """
        await self._stream.ensure(replicas=self._settings.replicas, events=self._settings.events)
        await self._blobs.ensure(replicas=self._settings.replicas)
        found = await Standby(self._bus, self._stream, self._gone, standing_by=self.standing_by).wait()
        store = Store(self._stream, self._ids, self._metrics)
        await store.take_over(found, self._holder)
        events = EventLog(store, self._ids, self._metrics)
        try:
            async with asyncio.TaskGroup() as tasks:
                # What the bus delivers to ends first: nobody may be left to take what arrives.
                async with contextlib.AsyncExitStack() as ending:
                    await self._lead(store, events, tasks, ending)
                    await self._stopping.wait()
                await self._hand_over(store, events)
                for task in list(self._work):
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _hand_over(self, store: Store, events: EventLog) -> None:
        """Store what was decided and give the lead away. Requests that are being carried out go on with their repeats."""
        LOG.info("handing-over", epoch=store.fence.epoch)
        try:
            async with asyncio.timeout(HAND_OVER_S):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVENTS_S):
                        await events.sent()
                await store.release()
        except (TimeoutError, ShoalError) as error:
            LOG.warning("not-handed-over", error=str(error) or f"not stored within {HAND_OVER_S:g} s")

    async def _lead(
        self, store: Store, events: EventLog, tasks: asyncio.TaskGroup, ending: contextlib.AsyncExitStack
    ) -> None:
        def start(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            task = tasks.create_task(work, name=name)
            self._work.add(task)
            task.add_done_callback(self._work.discard)
            return task

        def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
            # One that is cancelled before its first step would complain that nobody awaited it.
            start(_guarded(work, name), name).add_done_callback(lambda _: work.close())

        start(store.run(), "store")
        start(store.tombstones.run(), "tombstones")
        start(events.run(), "events")
        inventory = HostInventory(self._bus, store, spawn, self._metrics)
        shelf = FileShelf(self._blobs, store.model)
        leader = Leader(
            store=store,
            inventory=inventory,
            events=events,
            shelf=shelf,
            workers=Workers(self._bus, inventory),
            ids=self._ids,
            spawn=spawn,
            metrics=self._metrics,
            check_store=partial(check_store, self._bus),
        )
        ending.enter_context(self._metrics.reading(readings_of(leader)))
        self.leader = leader
        await self._prepare(leader)
        inventory.expect()
        for subscription in await inventory.subscribe():
            ending.push_async_callback(subscription.stop)
        ending.push_async_callback((await Claims(self._bus, store, inventory, spawn).subscribe()).stop)
        start(Aging(self._bus, inventory).run(), "hosts")
        start(shelf.run(), "files")
        background = Background(leader)
        # What hosts have and do is asked first: nothing is decided by what was so under a predecessor.
        await inventory.heard(KNOWN_HOSTS_S)
        start(background.run(), "background")
        background.resume()
        start(Relaunching(leader).run(), "relaunching")
        backlog = Backlog(self._bus)
        start(backlog.run(), "backlog")
        api = Api(self._bus, leader, COMMANDS, HANDLERS, backlog)
        service = serve(
            self._bus,
            name="shoal",
            version=version(),
            description=DESCRIPTION,
            endpoints=api.endpoints(),
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
