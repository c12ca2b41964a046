"""One request to one reply: ids, retries while nobody leads, silence, deadlines, answers of other versions.

Refuses to know namespaces and VMs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message
from shoal.client.pending import Command, Listing, ProgressCallback
from shoal.core.ids import Ids, token
from shoal.errors import (
    InvalidRequest,
    NamespaceGone,
    NotFound,
    OtherVersion,
    ShoalError,
    TimedOut,
    Unavailable,
)
from shoal.messages.base import Failure, Page, Progress, Reply, Request
from shoal.version import version

#: how long a call waits for an orchestrator to appear
PATIENCE_S = 30.0
#: an orchestrator that handles a request says so at least once a second; after this much silence it is asked again
SILENCE_S = 5.0
RETRY_S = 0.5
#: after this long without an answer it is asked whether an orchestrator is there that does not know the command
DOUBT_S = 2.0
PROBE_S = 1.0

R = TypeVar("R", bound=Reply)
T = TypeVar("T")


class Caller:
    """Sends requests. `by` is what the program calls itself; `patience_s` how long it waits for an orchestrator."""

    def __init__(self, bus: Bus, ids: Ids, *, by: str, patience_s: float) -> None:
        self.bus = bus
        self._ids = ids
        self._by = by
        self._patience_s = patience_s
        #: nothing is sent any more
        self.closed = False

    def command(
        self, request: Request[R], namespace: str, timeout_s: float | None, progress: ProgressCallback | None
    ) -> Command[R]:
        """A command to await, or to iterate over. `progress` is called with each step as well."""

        async def run(note: ProgressCallback) -> R:
            def heard(done: int, total: int, text: str) -> None:
                note(done, total, text)
                if progress is not None:
                    progress(done, total, text)

            return await self.call(request, namespace, timeout_s, heard)

        return Command(run)

    def rows(self, request: Request[Page[T]], namespace: str) -> Listing[T]:
        """The rows of a list, whatever its pages."""

        async def fetch() -> AsyncIterator[T]:
            following = request
            while True:
                try:
                    page = await self.call(following, namespace, None, None)
                except NotFound as error:
                    if following is request or request.scope != "ns":
                        raise
                    raise NamespaceGone(
                        f"namespace `{namespace}` was removed while `{request.noun} {request.verb}` was read: {error}",
                        namespace=namespace,
                    ) from error
                for row in page.items:
                    yield row
                if not page.next:
                    return
                following = msgspec.structs.replace(following, after=page.next)

        return Listing(fetch)

    async def call(
        self,
        request: Request[R],
        namespace: str,
        timeout_s: float | None,
        progress: ProgressCallback | None,
    ) -> R:
        """Send a request until it is answered."""
        if not request.reads:
            request = msgspec.structs.replace(
                request, id=request.id or token(self._ids, 96), by=request.by or self._by
            )
        try:
            async with asyncio.timeout(timeout_s):
                return await self._call(request, namespace, progress)
        except TimeoutError:
            raise TimedOut(
                f"no answer to `{request.noun} {request.verb}` within {timeout_s or 0:g} s; "
                "it may still be carried out"
            ) from None

    async def _call(self, request: Request[R], namespace: str, progress: ProgressCallback | None) -> R:
        subject = subjects.command(request.scope, request.noun, request.verb, namespace)
        body = codec.encode(request)
        if len(body) > codec.MAX_COMMAND_BYTES:
            codec.decode(body, dict, limit=codec.MAX_COMMAND_BYTES)  # says how long it is and may be
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        # since when the command is not known, although an orchestrator answers
        unknown_at: float | None = None
        answered = False
        # what ended a leader's term says more than that nobody leads after it
        reason: ShoalError | None = None

        def heard(message: Message) -> None:
            nonlocal heard_at, answered
            answered = True
            if _is_progress(message):
                heard_at = loop.time()
                if progress is not None:
                    step = codec.decode(message.body, Progress)
                    progress(step.done, step.total, step.text)

        while True:
            if self.closed:
                raise Unavailable(f"cannot send `{request.noun} {request.verb}`: this client is closed")
            answered = False
            try:
                answer = await self._once(subject, body, heard)
            except (Unavailable, TimedOut) as caught:
                error: ShoalError = caught
            else:
                if answer.headers.get(codec.STATUS_HEADER) != codec.ASK_AGAIN:
                    return _reply(answer, request)
                error = reason = codec.error_of(codec.decode(answer.body, Failure))
            # No leader, or one that died meanwhile: the request's id makes sending it again harmless.
            silent_s = loop.time() - heard_at
            deaf = not answered and not isinstance(error, TimedOut)
            unknown = deaf and silent_s > DOUBT_S and await self._is_led()
            unknown_at = (unknown_at or loop.time()) if unknown else None
            # Where orchestrators change it may be that for a moment: what one takes and the other does not take yet.
            if unknown_at is not None and loop.time() - unknown_at > min(DOUBT_S, self._patience_s / 2):
                raise OtherVersion(
                    f"the orchestrator does not know `{request.noun} {request.verb}`: it is of another version "
                    f"than this client ({version()})"
                ) from error
            if silent_s > self._patience_s:
                raise reason or error from error
            if progress is not None:
                progress(0, 0, "waiting for an orchestrator")
            await asyncio.sleep(RETRY_S)

    async def _is_led(self) -> bool:
        """Whether an orchestrator answers that knows all its commands by now: the console is the last that it offers."""
        try:
            await self.bus.request(subjects.CONSOLE, b"version", timeout_s=PROBE_S)
        except ShoalError:
            return False
        return True

    async def _once(self, subject: str, body: bytes, heard: Callable[[Message], None]) -> Message:
        """The answer, an error too; Unavailable or TimedOut when there is none."""
        async with self.bus.answers(subject, body, silence_s=SILENCE_S) as answers:
            async for message in answers:
                heard(message)
                if not _is_progress(message):
                    return message
        raise TimedOut(f"no answer to `{subject}`")


def _is_progress(message: Message) -> bool:
    return message.headers.get(codec.STATUS_HEADER) == codec.PROGRESS


def _reply(message: Message, request: Request[R]) -> R:
    """The reply in a message; fields that this version does not know are passed over."""
    try:
        if codec.ERROR_CODE_HEADER in message.headers:
            failure = codec.decode(message.body, Failure)
        else:
            reply: Any = codec.decode(message.body, type(request).reply)
            return reply  # type: ignore[no-any-return]
    except InvalidRequest as error:
        raise OtherVersion(
            f"cannot read the answer to `{request.noun} {request.verb}`: {error}; the orchestrator may be of another "
            f"version than this client ({version()})"
        ) from error
    raise codec.error_of(failure)
