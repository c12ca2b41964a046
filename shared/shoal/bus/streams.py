"""The JetStream side of the bus: the state stream, atomic batches, batched direct get, events.

Refuses to know what records mean. nats-py has no call for atomic batches (ADR-50): they are a few headers, spelled
here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import nats.errors
import nats.js.errors
from nats.js.api import RePublish, RetentionPolicy, StorageType, StreamConfig

from shoal import subjects
from shoal.bus.connection import NatsBus
from shoal.bus.direct import read_page
from shoal.bus.last_messages import last_of_each
from shoal.bus.protocol import USUAL_RETENTION, Conflicted, Event, Fenced, Message, Retention, Stored, Write
from shoal.bus.replicas import in_step
from shoal.bus.server_version import NEEDED, is_too_old
from shoal.errors import StoreUnavailable, TimedOut, Unavailable

WRITE_TIMEOUT_S = 5.0
MAX_BATCH = 1000
READ_BATCH = 1000
#: what a page of a direct get may weigh, well under the client's pending limit
READ_BYTES = 4 * 1024 * 1024
#: copies of an event that arrive within this are stored once (seconds)
DUPLICATE_WINDOW_S = 120

_ID = "Nats-Msg-Id"
_EXPECT = "Nats-Expected-Last-Subject-Sequence"
_EXPECT_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject"
_NO_STORAGE = 10047
_NO_CLUSTER = 10074
_WRONG_SEQUENCE = 10071
_WRONG_SEQUENCE_CONSTANT = 10164


def _state_config(replicas: int) -> StreamConfig:
    return StreamConfig(
        name=subjects.STATE_STREAM,
        description="Shoal: desired state and records, one message for each subject",
        subjects=list(subjects.STATE_SUBJECTS),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_msgs_per_subject=1,
        allow_direct=True,
        allow_atomic=True,
        num_replicas=replicas,
        duplicate_window=DUPLICATE_WINDOW_S,
        republish=RePublish(src=subjects.REPUBLISH_FROM, dest=subjects.REPUBLISH_TO),
    )


def _event_config(replicas: int, kept: Retention) -> StreamConfig:
    return StreamConfig(
        name=subjects.EVENT_STREAM,
        description="Shoal: what happened",
        subjects=list(subjects.EVENT_SUBJECTS),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=kept.age_s,
        max_bytes=kept.size_bytes,
        allow_direct=True,
        num_replicas=replicas,
        duplicate_window=DUPLICATE_WINDOW_S,
        # what wakes readers; they read the event itself from the stream
        republish=RePublish(src=subjects.REPUBLISH_FROM, dest=subjects.REPUBLISH_TO, headers_only=True),
    )


def _refused(error: Exception, events: Retention) -> str:
    """Why a server does not make a stream, and what helps."""
    if not isinstance(error, nats.js.errors.APIError) or error.err_code is None:
        return f"{error}; is JetStream enabled there (`nats-server -js`)?"
    advice = {
        _NO_STORAGE: (
            "; give that server more room (`max_file_store` in its configuration), or the orchestrator a smaller "
            f"`event-size` than {events.size_bytes / 2**20:.0f} MiB"
        ),
        _NO_CLUSTER: "; join it with other servers to a cluster, or give the orchestrator `replicas` of 1",
    }
    return f"{error.description}{advice.get(error.err_code, '')}"


class JetStreamState:
    """`shoal.bus.protocol.StateStream` on JetStream."""

    def __init__(self, bus: NatsBus) -> None:
        self._bus = bus
        self._js = bus.client.jetstream(timeout=WRITE_TIMEOUT_S)
        self._batches = 0
        self._put = False

    async def ensure(self, *, replicas: int, events: Retention = USUAL_RETENTION) -> None:
        """Create both streams or bring their settings up to date; refuses servers older than 2.14."""
        self._check_version()
        for config in (_state_config(replicas), _event_config(replicas, events)):
            try:
                await self._js.add_stream(config)
            except nats.js.errors.BadRequestError:
                await self._update(config)
            except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
                raise StoreUnavailable(
                    f"cannot create the stream {config.name} on {self._bus.server}: {_refused(error, events)}"
                ) from error

    async def _update(self, config: StreamConfig) -> None:
        try:
            await self._js.update_stream(config)
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(
                f"the stream {config.name} on {self._bus.server} exists with settings that Shoal cannot use "
                f"({error}); compare it with `nats stream info {config.name}`"
            ) from error

    def _check_version(self) -> None:
        said = str(self._bus.client.connected_server_version)
        if is_too_old(said):
            raise StoreUnavailable(
                f"the NATS server at {self._bus.server} is version {said}; Shoal needs {NEEDED} or newer"
            )

    async def read(self, subjects_filter: str) -> list[Stored]:
        """Everything under a filter, oldest first, in pages of a thousand."""
        if self._put:
            # A page may come from any replica: what was stored before our own message must be there as well.
            await in_step(self._bus, subjects.STATE_STREAM)
            self._put = False
        found: list[Stored] = []
        sequence = 1
        while True:
            page = await read_page(
                self._bus,
                subjects.STATE_STREAM,
                subjects_filter,
                sequence,
                batch=READ_BATCH,
                max_bytes=READ_BYTES,
            )
            found.extend(page.items)
            if not page.items or not page.more:
                return found
            sequence = page.items[-1].sequence + 1

    async def get(self, subject: str) -> Stored | None:
        """The last message of one subject, or None. Asks the stream's leader, never a replica that lags."""
        try:
            message = await self._js.get_last_msg(subjects.STATE_STREAM, subject)
        except nats.js.errors.NotFoundError:
            return None
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(f"cannot read `{subject}` from the store: {error}") from error
        return Stored(subject, cast("int", message.seq), message.data or b"")

    async def put(self, write: Write) -> int:
        """Store one message."""
        headers = None if write.expect is None else {_EXPECT: str(write.expect)}
        self._put = True
        return _sequence(await self._ask(write.subject, write.body, headers), write.subject)

    async def commit(self, writes: Sequence[Write], *, fence: int) -> int:
        """Store all or nothing (ADR-50); the first message carries its own expectation, or else the fence's."""
        if not 1 <= len(writes) <= MAX_BATCH:
            raise ValueError(f"a batch holds 1 to {MAX_BATCH} messages, not {len(writes)}")
        self._batches += 1
        batch = f"{id(self):x}-{self._bus.client.client_id}-{self._batches}"
        last = len(writes) - 1
        answer: Message | None = None
        for number, write in enumerate(writes):
            headers = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number + 1)}
            if number == 0 and write.expect is None:
                headers[_EXPECT] = str(fence)
                headers[_EXPECT_SUBJECT] = subjects.FENCE
            elif write.expect is not None:
                headers[_EXPECT] = str(write.expect)
            if number == last:
                headers["Nats-Batch-Commit"] = "1"
                answer = await self._ask(write.subject, write.body, headers)
            else:
                await self._bus.publish(write.subject, write.body, headers=headers)
        assert answer is not None
        return _sequence(answer, writes[0].subject)

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None) -> Message:
        try:
            return await self._bus.request(subject, body, timeout_s=WRITE_TIMEOUT_S, headers=headers)
        except TimedOut:
            raise
        except Unavailable as error:
            raise StoreUnavailable(f"the store did not take `{subject}`: {error}") from error

    async def purge(self, subject: str, *, below: int) -> None:
        """Purge with filter and sequence: what was written since stays."""
        request = json.dumps({"filter": subject, "seq": below}).encode()
        answer = await self._ask(f"$JS.API.STREAM.PURGE.{subjects.STATE_STREAM}", request, None)
        said = json.loads(answer.body)
        if "error" in said:
            raise StoreUnavailable(f"cannot purge `{subject}`: {said['error'].get('description')}")

    async def publish_events(self, events: Sequence[Event]) -> int:
        """Store events once each, with two acknowledgements for all of them.

        Nobody else writes to this stream, so that the numbers of the first and the last tell whether all between them
        were stored. Where they do not (a part was lost, or was there already), each is asked for by itself.
        """
        first, last = await self._publish_event(events[0]), 0
        for event in events[1:-1]:
            await self._bus.publish(event.subject, event.body, headers={_ID: event.id})
        if len(events) > 1:
            last = await self._publish_event(events[-1])
            if last - first != len(events) - 1:
                for event in events[1:-1]:
                    await self._publish_event(event)
        return last or first

    async def _publish_event(self, event: Event) -> int:
        return _sequence(await self._ask(event.subject, event.body, {_ID: event.id}), event.subject)

    async def last_events(self, subjects_filter: str) -> AsyncGenerator[Stored, None]:
        """The last event of each subject under a filter, oldest first; StoreUnavailable when they do not all come."""
        try:
            async with contextlib.aclosing(
                last_of_each(self._bus.client, subjects.EVENT_STREAM, subjects_filter)
            ) as found:
                async for stored in found:
                    yield stored
        except (nats.js.errors.Error, nats.errors.Error, TimeoutError) as error:
            raise StoreUnavailable(
                f"cannot read the last events under `{subjects_filter}`: {str(error) or type(error).__name__}"
            ) from error


def _sequence(answer: Message, subject: str) -> int:
    said: dict[str, Any] = json.loads(answer.body or b"{}")
    error = said.get("error")
    if not error:
        return int(said["seq"])
    code, text = int(error.get("err_code", 0)), error.get("description", "")
    if code == _WRONG_SEQUENCE:
        raise Fenced(text) if subject in (subjects.LEASE, subjects.FENCE) else Conflicted(text)
    if code == _WRONG_SEQUENCE_CONSTANT:
        raise Conflicted(text)
    raise StoreUnavailable(f"the store did not take `{subject}`: {text or 'no reason given'} (code {code})")
