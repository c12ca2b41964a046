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


class Retention(NamedTuple):
    """What the event stream keeps: nothing older than `age_s` seconds, and at most `size_bytes`, the oldest goes first."""

    age_s: float = 7 * 24 * 3600.0
    size_bytes: int = 1 << 30


USUAL_RETENTION = Retention()


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

    async def subscribe(self, subject: str, handler: Callable[[Message], None]) -> Subscription:
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

    async def ensure(self, *, replicas: int, events: Retention = USUAL_RETENTION) -> None:
        """Create the streams, or bring their settings up to date. StoreUnavailable without JetStream."""
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

        A first write that expects a sequence of its own subject is fenced by that instead: a leader's lease, which every
        take-over writes. A message can have only one expectation.

        Returns the sequence of the last one; they are numbered without gaps. Fenced or Conflicted when refused;
        TimedOut when it is unknown whether it was stored.
        """
        ...

    async def purge(self, subject: str, *, below: int) -> None:
        """Remove what is stored under `subject` if its sequence is less than `below`."""
        ...

    async def publish_events(self, events: Sequence[Event]) -> int:
        """Store events in their order; the same `id` again is stored once. Returns the sequence of the last.

        After an error some may be stored: publishing all again does no harm, but for the order among those of a part.
        """
        ...

    def last_events(self, subjects: str) -> AsyncGenerator[Stored, None]:
        """The last event of each subject under a filter (`shoal.event.red.>`), oldest first, any number of them.

        StoreUnavailable when the stream does not give them all.
        """
        ...


class Bounds(NamedTuple):
    """What a stream has: the sequences of its first and last message (`first` is over `last` in an empty one), and
    an identity that changes when the stream is made anew.
    """

    first: int
    last: int
    identity: str


class Recorded(NamedTuple):
    """An event as it is stored. `mark` tells it from another that got its number in a stream that went backwards."""

    subject: str
    sequence: int
    body: bytes
    mark: str


class EventPage(NamedTuple):
    """Events in the order of their sequences, and how many more of the same filter there are."""

    items: list[Recorded]
    pending: int


class EventHistory(Protocol):
    """The stream `SHOAL_EVENTS`, for those who read it. Nothing is held for a reader at the server.

    Every error is a `shoal.errors.Unavailable`, `TimedOut` or `PermissionDenied`.
    """

    async def bounds(self) -> Bounds:
        """Which events there are now. StoreUnavailable when the stream is not there."""
        ...

    async def read(self, subjects: str, sequence: int, *, limit: int) -> EventPage:
        """The events under a filter from `sequence` on, at most `limit`. May lag behind `bounds` for a moment."""
        ...

    async def watch(self, subjects: str, stored: Callable[[int], None]) -> Subscription:
        """Call `stored` with the sequence of each event under a filter once it is stored; 0: some may have been
        missed. Not every call is certain to come: look as well, now and then.
        """
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
