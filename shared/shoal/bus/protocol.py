"""What Shoal needs of a message bus and of a state stream, as Protocols.

This module refuses to know NATS: `connection` and `streams` are the real thing; a simulation brings its own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message as it arrived."""

    subject: str
    body: bytes
    reply: str = ""
    headers: Mapping[str, str] = {}


class Stored(NamedTuple):
    """A message of the state stream: what is stored under a subject, and its sequence in the stream."""

    subject: str
    sequence: int
    body: bytes


class Write(NamedTuple):
    """A message for the state stream. `expect` is the sequence that its subject must have (0: nothing yet)."""

    subject: str
    body: bytes
    expect: int | None = None


class Event(NamedTuple):
    """A message for the event stream. `id` makes a repeated publication one message."""

    subject: str
    body: bytes
    id: str


class Fenced(Exception):
    """Another leader has taken the fence: the batch was refused as a whole."""


class Conflicted(Exception):
    """An expectation other than the fence's failed, or batches collided: nothing was stored."""


class Subscription(Protocol):
    """Something that was subscribed."""

    async def stop(self) -> None:
        """End it; no message is delivered after this returned."""
        ...


class Bus(Protocol):
    """Publish, subscribe and request. Every error is a `shoal.errors.Unavailable`, `TimedOut` or `PermissionDenied`.

    Handlers are plain functions called on the event loop: they must not block, and start tasks of their own for
    what takes time. An exception in one is logged, and the subscription lives on.
    """

    async def publish(
        self, subject: str, body: bytes, *, reply: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send once; nobody may be listening."""
        ...

    async def request(
        self, subject: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        """Send, and wait for one answer. Unavailable when nobody listens, TimedOut after `timeout_s`."""
        ...

    def answers(
        self, subject: str, body: bytes, *, silence_s: float, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """Send, and iterate over all answers; TimedOut when none comes for `silence_s` seconds."""
        ...

    async def subscribe(
        self, subject: str, handler: Callable[[Message], None], *, queue: str = ""
    ) -> Subscription:
        """Call `handler` for each message. The server knows of it once `settle` has returned."""
        ...

    async def settle(self) -> None:
        """Wait until the server has processed everything sent before: subscriptions are then in force."""
        ...

    def on_reconnect(self, handler: Callable[[], None]) -> None:
        """Call `handler` after every reconnection: messages may have been missed."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the server is there now."""
        ...

    async def close(self) -> None:
        """Deliver what is waiting to be sent, and disconnect."""
        ...


class StateStream(Protocol):
    """The stream `SHOAL_STATE`: one message for each subject, and the stream of events beside it."""

    async def ensure(self, *, replicas: int) -> None:
        """Create the streams, or check that their settings are right. StoreUnavailable without JetStream."""
        ...

    async def read(self, subjects: str) -> list[Stored]:
        """Everything stored under a filter (`shoal.launch.mm1.>`), oldest first."""
        ...

    async def get(self, subject: str) -> Stored | None:
        """The message stored under one subject."""
        ...

    async def put(self, write: Write) -> int:
        """Store one message and return its sequence. Conflicted when its expectation fails."""
        ...

    async def commit(self, writes: Sequence[Write], *, fence: int) -> int:
        """Store all or nothing, at most 1,000, if `shoal.fence` still has the sequence `fence`.

        Returns the sequence of the last one; they are numbered without gaps. Fenced or Conflicted when refused;
        TimedOut when it is unknown whether it was stored.
        """
        ...

    async def purge(self, subject: str, *, below: int) -> None:
        """Remove what is stored under `subject` if its sequence is less than `below`."""
        ...

    async def publish_event(self, event: Event) -> int:
        """Store an event; the same `id` again is stored once. Returns its sequence."""
        ...


class Unfinished(NamedTuple):
    """Parts of content that nothing describes: it is being sent, or its sending was broken off."""

    upload: str
    parts: int


class BlobStore(Protocol):
    """Content by its SHA-256 (64 hexadecimal digits). It is never held in memory as a whole."""

    async def ensure(self, *, replicas: int) -> None:
        """Create the store. StoreUnavailable without JetStream."""
        ...

    async def find(self, digest: str) -> int | None:
        """The size of the content in bytes, or None when it is not there."""
        ...

    async def put(self, digest: str, parts: AsyncIterable[bytes], *, label: str) -> int:
        """Store content and return its size; `label` names it for people. All or nothing, also when cancelled.

        Conflict when it has another digest, StoreUnavailable when the store does not take it.
        """
        ...

    def read(self, digest: str) -> AsyncGenerator[bytes, None]:
        """The content, part by part. NotFound when it is not there; Damaged, at its end, when it is not that content."""
        ...

    async def digests(self) -> list[str]:
        """All content that is there."""
        ...

    async def delete(self, digest: str) -> None:
        """Remove content; nothing happens if it is not there."""
        ...

    async def unfinished(self) -> list[Unfinished]:
        """What is there and belongs to no content."""
        ...

    async def abandon(self, upload: str) -> None:
        """Remove what a sending left behind."""
        ...
