"""The client library: a connection, handles on namespaces, typed calls, events.

Refuses to know the command language; `shoal.cli` is built on it. See `connect`.

    async with shoal.connect() as client:
        ns = client.namespace("foo")
        await ns.launch("web[1-3]", VMConfig(kernel="/boot/vmlinuz"))
        await ns.start("all")
        async for event in ns.events():
            print(event.event, event.name)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from shoal import codec, subjects
from shoal.bus.connection import NatsBus
from shoal.bus.connection import connect as connect_bus
from shoal.bus.protocol import Message
from shoal.core.ids import token
from shoal.core.vmconfig import VMConfig
from shoal.errors import TimedOut, Unavailable
from shoal.messages.base import Failure, Progress, Reply, Request
from shoal.messages.events import EVENTS, Event
from shoal.messages.hosts import HostRow, ListMesh
from shoal.messages.namespaces import ClearNamespace, CreateNamespace, ListNamespaces, NamespaceRow
from shoal.messages.schedule import Launched, Schedule
from shoal.messages.vms import (
    Changed,
    FlushVMs,
    KillVMs,
    LaunchVMs,
    ListVMs,
    StartVMs,
    StopVMs,
    VMRow,
)

if TYPE_CHECKING:
    from shoal.files import ClusterFiles

DEFAULT_SERVER = "nats://127.0.0.1:4222"
DEFAULT_NAMESPACE = "minimega"
#: how long a call waits for a leader to appear
LEADER_S = 20.0
#: a leader that handles a request says so at least once a second; after this much silence it is asked again
SILENCE_S = 5.0
RETRY_S = 0.5

R = TypeVar("R", bound=Reply)
_EVENT_TYPES = {cls.__name__: cls for cls in EVENTS}

#: called with (done, total, text) while a request is being carried out
ProgressCallback = Callable[[int, int, str], None]


def default_server() -> str:
    """The server's URL when none is given: `NATS_URL`, or the local one."""
    return os.environ.get("NATS_URL") or DEFAULT_SERVER


class Client:
    """A connection to a cluster; safe to share between tasks. Made by `connect`."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus
        self._ids = random.SystemRandom()

    def namespace(self, name: str = DEFAULT_NAMESPACE) -> NamespaceHandle:
        """A handle on a namespace; nothing is sent yet."""
        return NamespaceHandle(self, name)

    async def call(
        self,
        request: Request[R],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        timeout_s: float | None = None,
        progress: ProgressCallback | None = None,
    ) -> R:
        """Send a command and return its reply.

        Raises the `shoal.errors` class that the orchestrator answered with; Unavailable when no orchestrator
        answers for 20 seconds; TimedOut after `timeout_s`. A call that times out or is cancelled does not take
        the command back.
        """
        if not request.reads and not request.id:
            request = msgspec.structs.replace(request, id=token(self._ids, 96))
        try:
            async with asyncio.timeout(timeout_s):
                return await self._call(request, namespace, progress)
        except TimeoutError:
            raise TimedOut(
                f"no answer to `{request.noun} {request.verb}` within {timeout_s:g} s; it may still be carried out"
            ) from None

    async def _call(self, request: Request[R], namespace: str, progress: ProgressCallback | None) -> R:
        subject = subjects.command(request.scope, request.noun, request.verb, namespace)
        body = codec.encode(request)
        if len(body) > codec.MAX_COMMAND_BYTES:
            codec.decode(body, dict, limit=codec.MAX_COMMAND_BYTES)  # says how long it is and may be
        loop = asyncio.get_running_loop()
        heard_at = loop.time()

        def heard(message: Message) -> None:
            nonlocal heard_at
            heard_at = loop.time()
            if progress is not None:
                step = codec.decode(message.body, Progress)
                progress(step.done, step.total, step.text)

        while True:
            try:
                return await self._once(subject, body, request, heard)
            except (Unavailable, TimedOut):
                # No leader, or one that died meanwhile: the request's id makes sending it again harmless.
                if loop.time() > heard_at + LEADER_S:
                    raise
                if progress is not None:
                    progress(0, 0, "waiting for an orchestrator")
                await asyncio.sleep(RETRY_S)

    async def _once(
        self, subject: str, body: bytes, request: Request[R], heard: Callable[[Message], None]
    ) -> R:
        async with self._bus.answers(subject, body, silence_s=SILENCE_S) as answers:
            async for message in answers:
                if message.headers.get("Shoal-Status") == "progress":
                    heard(message)
                    continue
                return _reply(message, request)
        raise TimedOut(f"no answer to `{subject}`")

    async def pages(self, request: Request[R], *, namespace: str = DEFAULT_NAMESPACE) -> AsyncIterator[R]:
        """All pages of a list, one reply each."""
        while True:
            reply = await self.call(request, namespace=namespace)
            yield reply
            if not reply.next:
                return
            request = msgspec.structs.replace(request, after=reply.next)

    async def namespaces(self) -> list[NamespaceRow]:
        """The namespaces of the cluster."""
        return list((await self.call(ListNamespaces())).items)

    async def hosts(self) -> list[HostRow]:
        """Every host that the cluster knows, whatever its state."""
        found: list[HostRow] = []
        async for page in self.pages(ListMesh(which="status")):
            found.extend(page.items)
        return found

    async def events(self, namespace: str = "") -> AsyncIterator[Event]:
        """Events as they happen, of one namespace or of all, from now on. An event of an unknown (newer) type
        is an `Event` with the fields that all events share.
        """
        waiting: asyncio.Queue[Message] = asyncio.Queue()
        subscription = await self._bus.subscribe(subjects.events(namespace), waiting.put_nowait)
        await self._bus.settle()
        try:
            while True:
                message = await waiting.get()
                yield decode_event(message.body)
        finally:
            await subscription.stop()

    @property
    def files(self) -> ClusterFiles:
        """The cluster's files."""
        from shoal.bus.blobs import NatsBlobs  # noqa: PLC0415  (only those who put and get files need it)
        from shoal.files import ClusterFiles  # noqa: PLC0415  (the same)

        return ClusterFiles(self.call, NatsBlobs(self._bus))

    async def close(self) -> None:
        """Disconnect."""
        await self._bus.close()


def decode_event(body: bytes) -> Event:
    """An event from its JSON body, as the class that its field `event` names."""
    known = codec.decode(body, Event)
    return codec.decode(body, _EVENT_TYPES.get(known.event, Event))


def _reply(message: Message, request: Request[R]) -> R:
    if "Nats-Service-Error-Code" in message.headers:
        raise codec.error_of(codec.decode(message.body, Failure))
    reply: Any = codec.decode(message.body, type(request).reply)
    return reply  # type: ignore[no-any-return]


class NamespaceHandle:
    """A namespace of a cluster. Cheap: it is a name and a client."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    async def call(
        self, request: Request[R], *, timeout_s: float | None = None, progress: ProgressCallback | None = None
    ) -> R:
        """Send a command to this namespace; see `Client.call`."""
        return await self.client.call(request, namespace=self.name, timeout_s=timeout_s, progress=progress)

    async def create(self) -> None:
        """Create the namespace if it is new."""
        await self.client.call(CreateNamespace(name=self.name))

    async def clear(self, *, progress: ProgressCallback | None = None) -> None:
        """Kill and forget all that is in the namespace, and the namespace itself."""
        await self.client.call(ClearNamespace(name=self.name), progress=progress)

    async def launch(
        self, names: str, config: VMConfig | None = None, *, progress: ProgressCallback | None = None
    ) -> Launched:
        """Launch VMs (a name, a range or a number) with `config`, or with the namespace's working one."""
        return await self.call(LaunchVMs(names=names, spec=config), progress=progress)

    async def schedule(self, *, force: bool = False, progress: ProgressCallback | None = None) -> Launched:
        """Place and launch all queued VMs."""
        return await self.call(Schedule(force=force), progress=progress)

    async def start(self, target: str = "all") -> Changed:
        """Let VMs run."""
        return await self.call(StartVMs(target=target))

    async def stop(self, target: str = "all") -> Changed:
        """Pause VMs."""
        return await self.call(StopVMs(target=target))

    async def kill(self, target: str = "all") -> Changed:
        """End VMs."""
        return await self.call(KillVMs(target=target))

    async def flush(self, target: str = "") -> Changed:
        """Forget VMs that are in QUIT or ERROR."""
        return await self.call(FlushVMs(target=target))

    async def vms(self) -> list[VMRow]:
        """The namespace's VMs."""
        found: list[VMRow] = []
        async for page in self.client.pages(ListVMs(), namespace=self.name):
            found.extend(page.items)
        return found

    async def wait(self, target: str, state: str, *, timeout_s: float) -> list[VMRow]:
        """Wait until every VM of `target` (a range of names) is in `state`. TimedOut says which are not."""
        from shoal.core.ranges import expand, fold  # noqa: PLC0415  (only waiters need it)

        names = set(expand(target))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            rows = [row for row in await self.vms() if row.name in names]
            missing = names - {row.name for row in rows if row.state == state}
            if not missing:
                return rows
            if loop.time() > deadline:
                raise TimedOut(
                    f"not {state} within {timeout_s:g} s in namespace {self.name}: {fold(missing)}"
                )
            await asyncio.sleep(0.1)

    def events(self) -> AsyncIterator[Event]:
        """Events of this namespace as they happen, from now on."""
        return self.client.events(self.name)


class _Connecting(contextlib.AbstractAsyncContextManager[Client]):
    """What `connect` returns: enter it for a client."""

    def __init__(self, server: str, name: str) -> None:
        self._server = server
        self._name = name
        self._client: Client | None = None

    async def __aenter__(self) -> Client:
        self._client = Client(await connect_bus(self._server, name=self._name))
        return self._client

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()


def connect(
    server: str = "", *, name: str = "shoal-client"
) -> contextlib.AbstractAsyncContextManager[Client]:
    """Connect to a cluster: `async with shoal.connect() as client`.

    `server` is a NATS URL; without it `NATS_URL` or nats://127.0.0.1:4222. Entering raises Unavailable within two
    seconds when there is no server.
    """
    return _Connecting(server or default_server(), name)
