"""The twin of `connection` in memory: a server and its connections, with the faults that real ones have.

Refuses to know what is sent, and chance: a `Weather` says how each message travels. Nothing is ever sent at once;
messages keep their order on a connection unless the weather lets one overtake. What a connection loses when it breaks
is lost; subscriptions are made again when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self, TypeVar

from shoal import subjects
from shoal.bus.memory_routes import Routes
from shoal.bus.memory_weather import SERVER, Calm, Trip, Weather
from shoal.bus.protocol import Message
from shoal.errors import TimedOut, Unavailable

LOG = logging.getLogger("shoal.bus")
SETTLE_TIMEOUT_S = 10.0
#: what a real server takes as one message
MAX_BYTES = 1 << 20

T = TypeVar("T")


class MemorySubscription:
    """A running subscription."""

    def __init__(self, bus: MemoryBus, subject: str, handler: Callable[[Message], None]) -> None:
        self.bus = bus
        self.subject = subject
        self.handler = handler
        self.active = True

    async def stop(self) -> None:
        """End it."""
        if self.active:
            self.active = False
            self.bus.unsubscribe(self)


class MemoryServer:
    """What all connections meet at. Streams are asked through `MemoryBus.ask`."""

    def __init__(self, weather: Weather | None = None) -> None:
        self.weather: Weather = weather or Calm()
        self.routes: Routes[MemorySubscription] = Routes()
        #: told of each message that arrives, with its sender's name
        self.watchers: list[Callable[[str, Message], None]] = []
        self._homes: dict[str, MemoryBus] = {}
        self._made = 0
        # what happens here goes on although the process ends that caused it
        self.context = contextvars.copy_context()

    def connect(self, name: str) -> MemoryBus:
        """A new connection, of whoever calls."""
        self._made += 1
        bus = MemoryBus(self, name, f"{subjects.INBOXES}{name}-{self._made}.")
        self._homes[bus.inboxes] = bus
        return bus

    def forget(self, bus: MemoryBus) -> None:
        """A connection has ended."""
        self._homes.pop(bus.inboxes, None)

    def deliver(self, sender: str, message: Message) -> int:
        """Send a message on to whom it concerns; returns to how many."""
        for watcher in self.watchers:
            watcher(sender, message)
        head, dot, _ = message.subject.rpartition(".")
        home = self._homes.get(head + dot) if message.subject.startswith(subjects.INBOXES) else None
        if home is not None:
            home.receive(message, None)
            return 1
        reached = self.routes.reached(message.subject)
        for subscription in reached:
            subscription.bus.receive(message, subscription)
        return len(reached)

    def arrive(self, sender: str, message: Message) -> None:
        """A message from a connection has arrived; who wants an answer from nobody is told so."""
        if not self.deliver(sender, message) and message.reply:
            self.deliver(SERVER, Message(message.reply, b"", "", {"Status": "503"}))


class MemoryBus:
    """`shoal.bus.protocol.Bus` on a `MemoryServer`; made by its `connect`.

    `stall`, `heal`, `lose` and `restore` are the ways in which connections fail.
    """

    def __init__(self, server: MemoryServer, name: str, inboxes: str) -> None:
        self.server = server
        self.name = name
        self.inboxes = inboxes
        self.closed = False
        self._connected = True
        #: raised whenever the connection breaks: what is under way then is lost
        self._generation = 0
        self._subscriptions: dict[int, MemorySubscription] = {}
        self._reconnected: list[Callable[[], None]] = []
        self._waiting: dict[str, Callable[[Message], None]] = {}
        self._asked = 0
        # messages that wait for the connection, to the server and from it; None while it works
        self._unsent: list[Callable[[], None]] | None = None
        self._unheard: list[Callable[[], None]] | None = None
        self._last = {"out": 0.0, "in": 0.0}
        self._context = contextvars.copy_context()
        self._loop = asyncio.get_running_loop()

    # --- the Protocol ------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether the server is there, as far as this side has noticed."""
        return self._connected

    async def publish(
        self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send once; while the connection is away it waits."""
        self._check(subject, body)
        message = Message(subject, body, reply, headers or {})
        self._send(subject, lambda: self.server.arrive(self.name, message))

    async def request(
        self, subject: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Send, and wait for one answer."""
        async with self.answers(subject, body, silence_s=timeout_s, headers=headers) as answers:
            return await anext(answers)

    @contextlib.asynccontextmanager
    async def answers(
        self, subject: str, body: bytes, *, silence_s: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """Send, and iterate over all answers until the caller leaves the context."""
        self._asked += 1
        inbox = f"{self.inboxes}{self._asked}"
        heard: asyncio.Queue[Message] = asyncio.Queue()
        self._waiting[inbox] = heard.put_nowait
        try:
            await self.publish(subject, body, reply=inbox, headers=headers)
            yield _Answers(subject, heard, silence_s)
        finally:
            self._waiting.pop(inbox, None)

    async def subscribe(self, subject: str, handler: Callable[[Message], None]) -> MemorySubscription:
        """Call `handler` for each message; an exception in it is logged."""
        self._check(subject, b"")
        subscription = MemorySubscription(self, subject, handler)
        self._subscriptions[id(subscription)] = subscription
        if self._connected:
            self._send("", lambda: self._announce(subscription))
        return subscription

    async def settle(self) -> None:
        """Wait until everything sent before has arrived."""
        await self.ask("", lambda: None, SETTLE_TIMEOUT_S)

    def on_reconnect(self, handler: Callable[[], None]) -> None:
        """Call `handler` after every reconnection."""
        self._reconnected.append(handler)

    async def close(self) -> None:
        """Disconnect; what was sent arrives."""
        if not self.closed:
            for subscription in list(self._subscriptions.values()):
                await subscription.stop()
            self.closed = True
            self._connected = False
            self.server.forget(self)

    # --- what streams use --------------------------------------------------------------------------------

    async def ask(self, subject: str, act: Callable[[], T], timeout_s: float) -> T:
        """Have the server do something, and wait for what it returns or raises.

        TimedOut when there is no answer: it may have been done, or be done later.
        """
        self._check(subject, b"")
        answer: asyncio.Future[T] = self._loop.create_future()

        def arrive() -> None:
            # Once, however often it arrives: a server takes the bytes of a connection once.
            result, error = None, None
            try:
                result = act()
            except Exception as failed:  # noqa: BLE001  # it is the caller's
                error = failed
            self._receive(subject, lambda: _settle(answer, result, error))

        self._send(subject, arrive, once=True)
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError:
            raise TimedOut(f"no answer to `{subject or 'PING'}` within {timeout_s:g} s") from None
        finally:
            answer.cancel()

    # --- travelling --------------------------------------------------------------------------------------

    def _check(self, subject: str, body: bytes) -> None:
        if self.closed:
            raise Unavailable(f"cannot send to `{subject}`: the connection is closed")
        if len(body) > MAX_BYTES:
            raise Unavailable(f"cannot send to `{subject}`: it has {len(body)} bytes, more than {MAX_BYTES}")

    def _send(self, subject: str, arrive: Callable[[], None], *, once: bool = False) -> None:
        """Let something happen at the server. Without a subject it is never lost while the connection lasts."""
        if self._unsent is not None:
            self._unsent.append(lambda: self._send(subject, arrive, once=once))
            return
        trips = self.server.weather.trips(self.name, SERVER, subject) if subject else (Trip(),)
        generation = self._generation

        def land() -> None:
            # Operations on streams that were under way when the connection broke are carried out all the same.
            if self._generation == generation or once:
                arrive()

        for trip in trips[:1] if once else trips:
            self._loop.call_at(self._arrival("out", trip), land, context=self.server.context)

    def receive(self, message: Message, subscription: MemorySubscription | None) -> None:
        """The server has a message for us, for a subscription or for a question of ours."""
        self._receive(message.subject, lambda: self._take(message, subscription))

    def _receive(self, subject: str, arrive: Callable[[], None]) -> None:
        if self._unheard is not None:
            self._unheard.append(lambda: self._receive(subject, arrive))
            return
        trips = self.server.weather.trips(SERVER, self.name, subject) if subject else (Trip(),)
        generation = self._generation

        def land() -> None:
            if self._generation == generation:
                arrive()

        for trip in trips:
            self._loop.call_at(self._arrival("in", trip), land, context=self._context)

    def _arrival(self, way: str, trip: Trip) -> float:
        when = self._loop.time() + trip.delay_s
        if trip.overtakes:
            return when
        self._last[way] = when = max(when, self._last[way])
        return when

    def _take(self, message: Message, subscription: MemorySubscription | None) -> None:
        if subscription is None:
            take = self._waiting.get(message.subject)
        else:
            take = subscription.handler if subscription.active else None
        if take is None:
            return
        try:
            take(message)
        except Exception:
            LOG.exception("a message on `%s` was set aside: its handler failed", message.subject)

    def _announce(self, subscription: MemorySubscription) -> None:
        if subscription.active:
            self.server.routes.add(subscription)

    def unsubscribe(self, subscription: MemorySubscription) -> None:
        """Hear no more of it; the server knows a little later."""
        self._subscriptions.pop(id(subscription), None)
        if self._connected:
            self._send("", lambda: self.server.routes.remove(subscription), once=True)

    # --- failing -----------------------------------------------------------------------------------------

    def stall(self, *, out: bool = True, into: bool = True) -> None:
        """The way is cut, and nobody has noticed: what is sent waits for `heal`, or is lost with the connection."""
        if not self._connected:
            return
        if out and self._unsent is None:
            self._unsent = []
        if into and self._unheard is None:
            self._unheard = []

    def heal(self) -> None:
        """The way is open again: what waited goes on. A connection that was lost stays so."""
        if not self._connected:
            return
        unsent, self._unsent = self._unsent or (), None
        unheard, self._unheard = self._unheard or (), None
        for send in unsent:
            send()
        for hear in unheard:
            hear()

    def lose(self) -> None:
        """Both sides notice that the connection is gone. What is sent from now on waits for `restore`."""
        self._generation += 1
        self._connected = False
        self._unheard = None
        self._unsent = []
        for subscription in self._subscriptions.values():
            self.server.routes.remove(subscription)

    def vanish(self) -> None:
        """The process has died: nothing of it is left."""
        self.lose()
        self.closed = True
        self.server.forget(self)

    def restore(self) -> None:
        """Connect again, after `lose`."""
        if self.closed or self._connected:
            return
        unsent, self._unsent = self._unsent or (), None
        self._last = {"out": 0.0, "in": 0.0}
        self._connected = True
        for subscription in self._subscriptions.values():
            self.server.routes.add(subscription)
        for send in unsent:
            send()
        for handler in list(self._reconnected):
            self._loop.call_soon(handler, context=self._context)


class _Answers:
    """The answers to one question, as they come."""

    def __init__(self, subject: str, heard: asyncio.Queue[Message], silence_s: float) -> None:
        self._subject = subject
        self._heard = heard
        self._silence_s = silence_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        try:
            async with asyncio.timeout(self._silence_s):
                message = await self._heard.get()
        except TimeoutError:
            raise TimedOut(f"no answer to `{self._subject}` within {self._silence_s:g} s") from None
        if message.headers.get("Status") == "503":
            raise Unavailable(f"nobody answers on `{self._subject}`: is an orchestrator running?")
        return message


def _settle(answer: asyncio.Future[T], result: T | None, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)  # type: ignore[arg-type]  # one of both is there
