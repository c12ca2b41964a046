"""Questions to a worker that come too late, or are broken off because the worker ends: what they hold is let go first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import structlog
from tests.unit.reconciler_rig import soon
from tests.unit.test_saving_guests import Saving

from shoal import codec, subjects
from shoal.bus.protocol import Message
from shoal.errors import Unavailable
from shoal.messages.base import Failure
from shoal.messages.host_requests import HostRequest, RunQMP, SaveGuest, Text
from shoal_worker import answering
from shoal_worker.answering import Answer, Answering, Told
from shoal_worker.answers import answers_of

QUESTION = RunQMP(instance="i", command="{}")


class Wire:
    """A bus to one worker; what it sends is kept."""

    def __init__(self) -> None:
        self.take: Any = None
        self.sent: list[Message] = []

    async def subscribe(self, _: str, handler: Any) -> None:
        self.take = handler

    async def publish(self, subject: str, body: bytes, *, headers: dict[str, str] | None = None) -> None:
        self.sent.append(Message(subject, body, "", headers or {}))

    def ask(self, question: HostRequest[Any]) -> None:
        """A question arrives."""
        self.take(Message(subjects.host_request("h", question.verb), codec.encode(question), "_INBOX.x", {}))


@contextlib.asynccontextmanager
async def worker(
    wire: Any, answers: dict[type[HostRequest[Any]], Answer], up_to_date: Callable[[], bool] = lambda: True
) -> AsyncIterator[asyncio.Task[None]]:
    """The part of a worker that answers, until the end of the block."""
    found = Answering(wire, "h", answers, structlog.get_logger(), up_to_date=up_to_date)
    await found.subscribe()
    task = asyncio.create_task(found.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_guest_that_is_being_saved_goes_on_before_the_worker_has_ended() -> None:
    """Once nothing is answered any more the hypervisor is closed: the guest has to run by then."""
    saving, wire = Saving(), Wire()
    saving.access.gate, saving.access.slow_to_end = asyncio.Event(), True
    async with saving.running():
        async with worker(wire, dict(answers_of(saving.desk))):
            wire.ask(SaveGuest(instance="i-a", label="x"))
            await soon(lambda: saving.state() == "paused")
        assert saving.access.cancelled
        assert saving.state() == "running"


async def test_what_comes_too_late_is_refused_and_not_done() -> None:
    """Who asked may have asked again: it is not done twice. Whoever still listens hears what to do."""
    asked: list[RunQMP] = []

    async def answer(question: RunQMP, _: Told) -> Text:
        asked.append(question)
        return Text(text="done")

    wire, now = Wire(), [False]
    async with worker(wire, {RunQMP: answer}, lambda: now[0]):
        wire.ask(QUESTION)
        now[0] = True
        wire.ask(QUESTION)
        await soon(lambda: len(wire.sent) == 2)
    assert asked == [QUESTION]
    late, done = sorted(wire.sent, key=lambda message: codec.ERROR_CODE_HEADER not in message.headers)
    error = codec.error_of(codec.decode(late.body, Failure))
    assert isinstance(error, Unavailable)
    assert "ask again" in error.message
    assert codec.decode(done.body, Text).text == "done"


async def test_what_cannot_be_broken_off_holds_the_worker_up_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was told to end does so, whatever hangs in it."""
    monkeypatch.setattr(answering, "CLEAN_UP_S", 0.05)
    begun, over = asyncio.Event(), asyncio.Event()

    async def hang(_: RunQMP, __: Told) -> Text:
        begun.set()
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        return Text(text="")

    wire = Wire()
    async with worker(wire, {RunQMP: hang}) as task:
        wire.ask(QUESTION)
        await begun.wait()
        task.cancel()
        ended, _ = await asyncio.wait((task,), timeout=10)
        assert ended == {task}
        assert not over.is_set()
    over.set()


async def test_what_fails_while_it_is_broken_off_ends_nothing_else() -> None:
    """The failure is told in the log: nobody waits for the answer any more."""
    begun = asyncio.Event()

    async def fail(_: RunQMP, __: Told) -> Text:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the disk is full")

    wire = Wire()
    async with worker(wire, {RunQMP: fail}) as task:
        wire.ask(QUESTION)
        await begun.wait()
    assert task.cancelled()
