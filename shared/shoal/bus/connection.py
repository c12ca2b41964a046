"""A connection to NATS: publish, subscribe, request, with deadlines and typed errors.

Refuses to know subjects and encodings. Every setting that differs from nats-py's default is there because the
default is wrong for a daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Self

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from shoal import subjects
from shoal.bus.nats_client import QuickClient
from shoal.bus.protocol import Message
from shoal.errors import PermissionDenied, ShoalError, TimedOut, Unavailable
from shoal.metrics.dropped import MESSAGES_DROPPED
from shoal.metrics.protocol import NOBODY, Metrics

LOG = logging.getLogger("shoal.bus")
CONNECT_TIMEOUT_S = 2.0
#: so many messages of one subscription may wait for their handler; more are dropped, and of the others none
MAX_PENDING = 262_144
#: one line in the log for so many that were dropped
_DROPS_A_LINE = 10_000
_PERMISSION = "permissions violation"
#: so many different ones are told of
_MAX_REFUSED = 100


def message_of(msg: Msg) -> Message:
    """A message of nats-py as ours."""
    return Message(msg.subject, msg.data, msg.reply, msg.headers or {})


class NatsSubscriptionHandle:
    """A running subscription."""

    def __init__(self, subscription: NatsSubscription) -> None:
        self._subscription = subscription

    async def stop(self) -> None:
        """Unsubscribe; a connection that is closed already has nothing to stop."""
        with contextlib.suppress(nats.errors.Error):
            await self._subscription.unsubscribe()


class NatsBus:
    """`shoal.bus.protocol.Bus` over one NATS connection. Made by `connect`."""

    def __init__(self, server: str, metrics: Metrics = NOBODY) -> None:
        self.server = server
        self._metrics = metrics
        self._dropped = 0
        self.client: Client = QuickClient()
        #: set once the connection is closed for good
        self.closed = asyncio.Event()
        self._reconnected: list[Callable[[], None]] = []
        self._denied: dict[str, asyncio.Future[Message]] = {}
        self._refused: set[str] = set()
        self._last_error: Exception | None = None

    async def open(self, *, name: str) -> None:
        """Connect within two seconds, or raise Unavailable with what was tried and what to start."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self.client.connect(
                    servers=self.server.split(","),
                    name=name,
                    inbox_prefix=f"{subjects.INBOXES}{secrets.token_hex(6)}",
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=1,
                    # three without an answer, and the connection is given up: a server that stands still is left within 9 s
                    ping_interval=3,
                    error_cb=self._failed,
                    reconnected_cb=self._on_reconnected,
                    closed_cb=self._on_closed,
                    pending_size=16 * 1024 * 1024,
                )
        except (TimeoutError, OSError, nats.errors.Error, ValueError) as error:
            reason = self._last_error or error
            with contextlib.suppress(Exception):
                await self.client.close()
            raise Unavailable(
                f"no NATS server at {self.server} ({_told(reason)}); start a cluster with `shoal up`, "
                "without root with `shoal lab --simulate`, or name the server (--server, NATS_URL, `connect(URL)`)"
            ) from None  # what failed beneath is in the message
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                await self.client.close()
            raise

    async def _failed(self, error: Exception) -> None:
        self._last_error = error
        text = str(error)
        if _PERMISSION in text.lower():
            for subject, waiting in list(self._denied.items()):
                if f'"{subject.lower()}"' in text.lower() and not waiting.done():
                    waiting.set_exception(PermissionDenied(f"the server does not allow `{subject}`: {text}"))
            self._tell_refusal(text)
        if isinstance(error, nats.errors.SlowConsumerError):
            self._metrics.count(MESSAGES_DROPPED)
            if self._dropped % _DROPS_A_LINE == 0:
                LOG.warning("messages dropped: too many were waiting (%s; %d before)", error, self._dropped)
            self._dropped += 1
        else:
            LOG.debug("connection: %s", error)

    def _tell_refusal(self, text: str) -> None:
        """Log what the server does not let us do, once: nobody waits for the answer to a heartbeat, or a subscription."""
        if text not in self._refused and len(self._refused) < _MAX_REFUSED:
            self._refused.add(text)
            LOG.warning("the server does not allow it: %s", text)

    async def _on_reconnected(self) -> None:
        for handler in list(self._reconnected):
            handler()

    async def _on_closed(self) -> None:
        self.closed.set()

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        return bool(self.client.is_connected)

    def on_reconnect(self, handler: Callable[[], None]) -> None:
        """Call `handler` after every reconnection."""
        self._reconnected.append(handler)

    async def publish(
        self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send once. Unavailable when the connection is closed, or too much is waiting to be sent."""
        try:
            await self.client.publish(subject, body, reply=reply, headers=dict(headers) if headers else None)
        except nats.errors.Error as error:
            raise self._error(subject, error) from error

    async def request(
        self, subject: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Send, and wait for one answer."""
        call = asyncio.ensure_future(
            self.client.request(subject, body, timeout=timeout_s, headers=dict(headers) if headers else None)
        )
        denied: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._denied[subject] = denied
        try:
            await asyncio.wait((call, denied), return_when=asyncio.FIRST_COMPLETED, timeout=timeout_s + 1)
            if denied.done():
                return denied.result()
            if not call.done():
                raise TimedOut(f"no answer to `{subject}` within {timeout_s:g} s")
            return message_of(call.result())
        except (TimeoutError, nats.errors.Error) as error:
            raise self._error(subject, error, timeout_s) from error
        finally:
            self._denied.pop(subject, None)
            call.cancel()
            denied.cancel()

    @contextlib.asynccontextmanager
    async def answers(
        self, subject: str, body: bytes, *, silence_s: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """Send, and iterate over all answers until the caller leaves the context."""
        inbox = self.client.new_inbox()
        try:
            subscription = await self.client.subscribe(inbox)
        except nats.errors.Error as error:
            raise self._error(subject, error) from error
        denied: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._denied[subject] = denied
        try:
            await self.publish(subject, body, reply=inbox, headers=headers)
            yield self._answers(subject, subscription, denied, silence_s)
        finally:
            self._denied.pop(subject, None)
            denied.cancel()
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _answers(
        self,
        subject: str,
        subscription: NatsSubscription,
        denied: asyncio.Future[Message],
        silence_s: float,
    ) -> AsyncIterator[Message]:
        while True:
            following = asyncio.ensure_future(subscription.next_msg(timeout=None))
            try:
                await asyncio.wait(
                    (following, denied), timeout=silence_s, return_when=asyncio.FIRST_COMPLETED
                )
                if denied.done():
                    denied.result()
                if not following.done():
                    raise TimedOut(f"no answer to `{subject}` within {silence_s:g} s")
                message = message_of(following.result())
            except nats.errors.Error as error:
                raise self._error(subject, error) from error
            finally:
                # Cancelled while the connection closes, it fails instead, and nobody would hear of it.
                following.add_done_callback(lambda done: done.cancelled() or done.exception())
                following.cancel()
            if message.headers.get("Status") == "503":
                raise Unavailable(f"nobody answers on `{subject}`: is an orchestrator running?")
            yield message

    async def subscribe(self, subject: str, handler: Callable[[Message], None]) -> NatsSubscriptionHandle:
        """Call `handler` for each message; one that it raises an error for is set aside, and logged."""

        async def deliver(msg: Msg) -> None:
            try:
                handler(message_of(msg))
            except ShoalError as error:
                LOG.warning("a message on `%s` was set aside: %s", msg.subject, error.message)
            except Exception:
                LOG.exception("a message on `%s` was set aside: its handler failed", msg.subject)

        try:
            subscription = await self.client.subscribe(
                subject, cb=deliver, pending_msgs_limit=MAX_PENDING, pending_bytes_limit=-1
            )
        except nats.errors.Error as error:
            raise self._error(subject, error) from error
        return NatsSubscriptionHandle(subscription)

    async def settle(self) -> None:
        """Flush twice: PING may overtake what waits in the buffer, so one flush is no barrier."""
        try:
            await self.client.flush(timeout=10)
            await self.client.flush(timeout=10)
        except (TimeoutError, nats.errors.Error) as error:
            raise self._error("flush", error, 10) from error

    def _error(self, subject: str, error: BaseException, timeout_s: float = 0) -> ShoalError:
        if isinstance(error, nats.errors.NoRespondersError):
            return Unavailable(f"nobody answers on `{subject}`: is an orchestrator running?")
        if isinstance(error, (nats.errors.TimeoutError, TimeoutError)):
            return TimedOut(f"no answer to `{subject}` within {timeout_s:g} s")
        return Unavailable(
            f"cannot send to `{subject}` at {self.server}: {str(error) or type(error).__name__}"
        )

    async def close(self) -> None:
        """Send what waits (for at most two seconds) and disconnect."""
        if self.client.is_closed:
            return
        with contextlib.suppress(Exception):
            if self.client.is_connected:
                await self.client.flush(timeout=2)
        with contextlib.suppress(Exception):
            await self.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _told(error: Exception) -> str:
    """Why there is no connection, in the system's words: asyncio's own repeat the address."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else error.strerror or str(error)
    return str(error) or type(error).__name__


async def connect(server: str, *, name: str, metrics: Metrics = NOBODY) -> NatsBus:
    """Connect to NATS. Unavailable within two seconds when there is no server."""
    bus = NatsBus(server, metrics)
    await bus.open(name=name)
    return bus
