"""The last message of each subject of a stream, however many subjects there are.

Refuses to know what the messages mean. It reads by a consumer of its own, which it removes again. nats-py's `fetch`
takes several times as long for each message, and here there may be hundreds of thousands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from shoal.bus.protocol import Stored

#: messages in one answer
BATCH = 1000
#: how long the server may take to look through its subjects
CREATE_S = 30.0
#: how long nothing may arrive then
SILENCE_S = 5.0
#: a consumer whose reader has died is removed by the server after this
IDLE_S = 30.0


class _Arriving:
    """The answer to one request for messages. `left` is how many are still to come after it, all in all."""

    def __init__(self, wanted: int, left: int) -> None:
        self.items: list[Stored] = []
        self.left = left
        self.refused = ""
        self.complete = asyncio.Event()
        self._wanted = wanted

    def take(self, msg: Msg) -> None:
        """A message, or the server's word that no more will come."""
        if msg.headers and "Status" in msg.headers:
            self.refused = msg.headers.get("Description", msg.headers["Status"])
            self.complete.set()
            return
        # $JS.ACK.[domain.account.]stream.consumer.delivered.sequence.number.time.pending[.token] (ADR-15)
        tokens = msg.reply.split(".")
        at = 5 if len(tokens) == 9 else 7
        self.items.append(Stored(msg.subject, int(tokens[at]), msg.data))
        self.left = int(tokens[at + 3])
        if len(self.items) == self._wanted or not self.left:
            self.complete.set()

    async def all(self) -> list[Stored]:
        """Wait for all of them. TimeoutError when none comes for five seconds."""
        while not self.complete.is_set():
            before = len(self.items)
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self.complete.wait()
            except TimeoutError:
                if len(self.items) == before:
                    raise
        if self.refused:
            raise nats.errors.Error(self.refused)
        return self.items


async def last_of_each(client: Client, stream: str, subjects: str) -> AsyncGenerator[Stored, None]:
    """The last message of each subject under a filter, oldest first; nats-py's errors when they do not all come.

    Batched direct gets (ADR-31) would do it for at most 1,024 subjects, this does it for any number. What is stored
    while it reads may be among it or not.
    """
    js = client.jetstream(timeout=CREATE_S)
    consumer = await js.add_consumer(
        stream,
        ConsumerConfig(
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT,
            ack_policy=AckPolicy.NONE,
            filter_subject=subjects,
            inactive_threshold=IDLE_S,
            mem_storage=True,
            num_replicas=1,
        ),
    )
    try:
        async with contextlib.aclosing(
            _read(client, stream, consumer.name, consumer.num_pending or 0)
        ) as found:
            async for stored in found:
                yield stored
    finally:
        with contextlib.suppress(nats.js.errors.Error, nats.errors.Error, TimeoutError):
            await js.delete_consumer(stream, consumer.name)


async def _read(client: Client, stream: str, consumer: str, left: int) -> AsyncGenerator[Stored, None]:
    if not left:
        return
    arriving = _Arriving(0, left)

    async def take(msg: Msg) -> None:
        arriving.take(msg)

    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=take)
    try:
        while arriving.left:
            wanted = min(BATCH, arriving.left)
            arriving = _Arriving(wanted, arriving.left)
            request = {"batch": wanted, "expires": int(SILENCE_S * 1e9)}
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
            await client.publish(subject, json.dumps(request).encode(), reply=inbox)
            for stored in await arriving.all():
                yield stored
    finally:
        with contextlib.suppress(nats.errors.Error):
            await subscription.unsubscribe()
