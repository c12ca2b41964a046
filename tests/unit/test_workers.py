"""Questions to a worker and its answers: what it refuses, what is too large to send, and when it is silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import structlog

from shoal.bus.protocol import Message
from shoal.errors import Refused, ShoalError, StoreUnavailable, TimedOut
from shoal.messages.host_requests import RunQMP, Text
from shoal_orchestrator.workers import Workers
from shoal_worker.answering import Answering, Told

QUESTION = RunQMP(instance="i", command="{}")


class Wire:
    """A bus between one leader and one worker; what is published goes to who asked."""

    def __init__(self) -> None:
        self.handler: Callable[[Message], None] = lambda _: None
        self.answered: asyncio.Queue[Message] = asyncio.Queue()

    async def subscribe(self, _: str, handler: Callable[[Message], None]) -> None:
        self.handler = handler

    async def publish(self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        self.answered.put_nowait(Message(subject, body, "", headers or {}))

    @contextlib.asynccontextmanager
    async def answers(
        self, subject: str, body: bytes, *, silence_s: float
    ) -> AsyncIterator[AsyncIterator[Message]]:
        async def found() -> AsyncIterator[Message]:
            while True:
                try:
                    yield await asyncio.wait_for(self.answered.get(), silence_s)
                except TimeoutError:
                    raise TimedOut(f"no answer to `{subject}`") from None

        self.handler(Message(subject, body, "_INBOX.x", {}))
        yield found()


class Inventory:
    """Every host is alive."""

    def state(self, _: str) -> str:
        return "alive"


async def ask(answer: Callable[[RunQMP, Told], Any]) -> Text:
    """What the leader gets from a worker that answers so."""
    wire: Any = Wire()
    inventory: Any = Inventory()
    answering = Answering(wire, "mm1", {RunQMP: answer}, structlog.get_logger())
    await answering.subscribe()
    task = asyncio.create_task(answering.run())
    try:
        return await Workers(wire, inventory).ask("mm1", QUESTION)
    finally:
        task.cancel()
        await asyncio.wait((task,))


@pytest.mark.parametrize("error", [StoreUnavailable("the file store is full"), TimedOut("QEMU hangs")])
async def test_what_a_worker_says_is_not_taken_for_silence(error: ShoalError) -> None:
    """A worker that answers that something is unavailable, or took too long, is heard in its own words."""

    async def refuse(_: RunQMP, __: Told) -> Text:
        raise error

    with pytest.raises(type(error), match=f"^{error.message}$"):
        await ask(refuse)


async def test_an_answer_that_is_too_large_is_an_error() -> None:
    """What does not fit into a message is refused at once, instead of being lost on its way."""

    async def much(_: RunQMP, __: Told) -> Text:
        return Text(text="x" * (1 << 20))

    with pytest.raises(Refused, match="ask for less at once"):
        await ask(much)


async def test_an_error_of_several_lines_is_one_in_the_headers() -> None:
    """Headers are lines: whatever ends a line in an error's text is a space there."""
    seen: list[str] = []

    class Listening(Wire):
        async def publish(
            self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None
        ) -> None:
            seen.append((headers or {}).get("Nats-Service-Error", ""))
            await super().publish(subject, body, headers=headers)

    async def refuse(_: RunQMP, __: Told) -> Text:
        raise Refused("a\rb\r\nc")

    wire: Any = Listening()
    answering = Answering(wire, "mm1", {RunQMP: refuse}, structlog.get_logger())
    await answering.subscribe()
    task = asyncio.create_task(answering.run())
    inventory: Any = Inventory()
    with pytest.raises(Refused, match="a\rb\r\nc"):
        await Workers(wire, inventory).ask("mm1", QUESTION)
    task.cancel()
    await asyncio.wait((task,))
    assert seen == ["a b c"]
