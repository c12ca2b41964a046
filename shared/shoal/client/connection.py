"""The client itself: a connection to a cluster, what is asked of the cluster as a whole, and handles.

Refuses to know the command language; `shoal.cli` is built on it.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
from typing import TYPE_CHECKING, Any, TypeVar

from shoal import subjects
from shoal.bus.connection import NatsBus
from shoal.bus.connection import connect as connect_bus
from shoal.bus.event_history import StreamEvents
from shoal.bus.protocol import Bus, EventHistory
from shoal.client.calls import PATIENCE_S, Caller
from shoal.client.events import Events, EventSource
from shoal.client.handles import DEFAULT_NAMESPACE, NamespaceHandle
from shoal.client.outside import from_outside, is_led
from shoal.client.pending import Command, Listing, ProgressCallback
from shoal.core.ids import Ids
from shoal.messages.base import Page, Reply, Request
from shoal.messages.doctor import CheckCluster, Diagnosis
from shoal.messages.hosts import HostRow, ListMesh
from shoal.messages.namespaces import ListNamespaces, NamespaceRow

if TYPE_CHECKING:
    from shoal.files import ClusterFiles

DEFAULT_SERVER = "nats://127.0.0.1:4222"

R = TypeVar("R", bound=Reply)
T = TypeVar("T")


def default_server() -> str:
    """The server's URL when none is given: `NATS_URL`, or the local one."""
    return os.environ.get("NATS_URL") or DEFAULT_SERVER


class Client:
    """A connection to a cluster; safe to share between tasks. Made by `connect`.

    `by` is what the program calls itself to others; `patience_s` how long a call waits for an orchestrator.
    """

    def __init__(
        self,
        bus: Bus,
        ids: Ids | None = None,
        *,
        by: str = "",
        patience_s: float = PATIENCE_S,
        history: EventHistory | None = None,
    ) -> None:
        self._bus = bus
        self._caller = Caller(bus, ids or random.SystemRandom(), by=by, patience_s=patience_s)
        self._source = EventSource(history or StreamEvents(bus))

    def namespace(self, name: str = DEFAULT_NAMESPACE) -> NamespaceHandle:
        """A handle on a namespace; nothing is sent yet. InvalidRequest for what is no name."""
        return NamespaceHandle(self, self._source, name)

    def call(
        self,
        request: Request[R],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        timeout_s: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> Command[R]:
        """Send a command; await it for its reply, or iterate over its progress first.

        Raises the `shoal.errors` class that the orchestrator answered with; Unavailable when no orchestrator
        answers for `patience_s`; TimedOut after `timeout_s` seconds; OtherVersion when the orchestrator does not know
        the command. A call that times out or is cancelled does not take the command back.
        """
        return self._caller.command(request, namespace, timeout_s, progress)

    def items(self, request: Request[Page[T]], *, namespace: str = DEFAULT_NAMESPACE) -> Listing[T]:
        """The rows of a list, however many pages it has: iterate over them, or await all of them.

        Raises as `call` does, at each page; NamespaceGone when the namespace goes between two pages.
        """
        return self._caller.rows(request, namespace)

    def namespaces(self) -> Listing[NamespaceRow]:
        """The namespaces of the cluster."""
        return self.items(ListNamespaces())

    def hosts(self) -> Listing[HostRow]:
        """Every host that the cluster knows, whatever its state."""
        return self.items(ListMesh(which="status"))

    def events(self, namespace: str = "", *, since: int | None = None) -> Events:
        """Events of the whole cluster, or of one namespace; see `Events`.

        `since` is the number of the last event that is known already (`Events.position`); 0 begins with the oldest
        event that there is; without it, with what happens from now on. EventsGone when what follows `since` is gone.
        """
        if namespace:
            return self.namespace(namespace).events(since=since)
        return Events(self._source, subjects.events(), since=since)

    async def check(
        self, *, timeout_s: float | None = None, progress: ProgressCallback | None = None
    ) -> Diagnosis:
        """What is wrong with the cluster, and what to do about it; with less to tell when no orchestrator answers."""
        if isinstance(self._bus, NatsBus) and not await is_led(self._bus):
            return await from_outside(self._bus, str(self._bus.client.connected_server_version))
        return await self.call(CheckCluster(), timeout_s=timeout_s, progress=progress)

    @property
    def files(self) -> ClusterFiles:
        """The cluster's files."""
        from shoal.bus.blobs import NatsBlobs  # noqa: PLC0415  (only those who put and get files need it)
        from shoal.files import ClusterFiles  # noqa: PLC0415  (the same)

        assert isinstance(self._bus, NatsBus), "content is kept beside the bus, by NATS"
        return ClusterFiles(self._call, NatsBlobs(self._bus))

    async def _call(self, request: Request[Any]) -> Reply:
        reply: Reply = await self.call(request)
        return reply

    async def close(self) -> None:
        """Disconnect."""
        self._caller.closed = True
        await self._bus.close()


class _Connecting(contextlib.AbstractAsyncContextManager[Client]):
    """What `connect` returns: enter it for a client."""

    def __init__(self, server: str, name: str, patience_s: float) -> None:
        self._server = server
        self._name = name
        self._patience_s = patience_s
        self._client: Client | None = None

    async def __aenter__(self) -> Client:
        bus = await connect_bus(self._server, name=self._name)
        by = f"{self._name}@{socket.gethostname()}[{os.getpid()}]"
        self._client = Client(bus, by=by, patience_s=self._patience_s)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()


def connect(
    server: str = "", *, name: str = "shoal-client", patience_s: float = PATIENCE_S
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect to a cluster: `async with shoal.connect() as client`.

    `server` is a NATS URL; without it `NATS_URL` or nats://127.0.0.1:4222. `name` is what the program calls itself:
    operators see it, and other programs in whose way its commands get. `patience_s`: how many seconds a call waits
    while no orchestrator answers. Entering raises Unavailable within two seconds when there is no server; a server that
    goes away later is waited for.
    """
    return _Connecting(server or default_server(), name, patience_s)
