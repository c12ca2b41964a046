"""A bus whose far end is a function, for tests of the client without a server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import msgspec

from shoal import codec, subjects
from shoal.bus.memory_events import MemoryEvents
from shoal.bus.protocol import Message
from shoal.client import Client
from shoal.core.vmconfig import VMConfig
from shoal.errors import ShoalError, TimedOut, Unavailable
from shoal.messages.base import Progress, Reply, Request
from shoal.messages.catalogue import COMMANDS
from shoal.messages.vms import VMRow


class TermEnded:
    """An error of a leader whose term has ended."""

    def __init__(self, error: ShoalError) -> None:
        self.error = error


#: what comes to a request: replies, steps of progress, an error, bytes as they are
Answer = Reply | Progress | ShoalError | TermEnded | bytes
Answers = Callable[[Request[Any]], Iterator[Answer]]

_COMMANDS = {subjects.command(c.scope, c.noun, c.verb, "red"): c for c in COMMANDS}


def row(name: str, state: Any = "RUNNING", number: int = 0) -> VMRow:
    return VMRow(id=number, namespace="red", name=name, host="mm1", state=state, config=VMConfig())


class AnsweringBus:
    """`answers` gets each request, decoded, as an orchestrator would. Nobody listens where `deaf` says so."""

    def __init__(self, answers: Answers, *, deaf: Callable[[str], bool] = lambda _: False) -> None:
        self.requests: list[Request[Any]] = []
        self._reply_to = answers
        self._deaf = deaf

    def _serve(self, subject: str, body: bytes) -> Iterator[Message]:
        if self._deaf(subject):
            raise Unavailable(f"nobody answers on `{subject}`: is an orchestrator running?")
        if subject == subjects.CONSOLE:
            yield Message("inbox", b"shoal 0.0.0")
            return
        request = codec.decode(body, _COMMANDS[subject])
        self.requests.append(request)
        for answer in self._reply_to(request):
            # nobody answers, or nothing comes; what an orchestrator says is a message
            if isinstance(answer, (Unavailable, TimedOut)) and type(answer) in (Unavailable, TimedOut):
                raise answer
            yield _message(answer)

    @contextlib.asynccontextmanager
    async def answers(
        self, subject: str, body: bytes, *, silence_s: float, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[AsyncIterator[Message]]:
        async def all_of() -> AsyncIterator[Message]:
            for message in self._serve(subject, body):
                yield message

        assert silence_s
        assert headers is None
        yield all_of()

    async def request(
        self, subject: str, body: bytes, *, timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> Message:
        assert timeout_s
        assert headers is None
        return next(self._serve(subject, body))


def _message(answer: Answer) -> Message:
    if isinstance(answer, bytes):
        return Message("inbox", answer)
    if isinstance(answer, TermEnded):
        message = _message(answer.error)
        return message._replace(headers={**message.headers, "Shoal-Status": "ask-again"})
    if isinstance(answer, ShoalError):
        told = {"Nats-Service-Error-Code": str(answer.code), "Nats-Service-Error": answer.message}
        return Message("inbox", codec.encode(codec.failure_of(answer)), "", told)
    headers = {"Shoal-Status": "progress"} if isinstance(answer, Progress) else {}
    return Message("inbox", msgspec.msgpack.encode(answer), "", headers)


def client_of(
    answers: Answers,
    *,
    history: MemoryEvents | None = None,
    patience_s: float = 0.0,
    deaf: Callable[[str], bool] = lambda _: False,
) -> tuple[Client, AnsweringBus]:
    """A client, and the bus that notes what it asks."""
    bus = AnsweringBus(answers, deaf=deaf)
    made: Any = bus
    return Client(made, by="tester", patience_s=patience_s, history=history or MemoryEvents()), bus
