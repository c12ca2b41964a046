"""Takes what the leader asks of this host from the bus, and sends the answers: what is not state, but a question.

Refuses to know what is asked and who can answer it. While an answer takes time the leader hears once a second that
it is being worked on, so that silence means that this worker is gone. Questions that were asked while we stood still are
not worked on: whoever asked has given up, and may have asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message
from shoal.errors import NotFound, Refused, ShoalError, Unavailable
from shoal.messages.base import Progress
from shoal.messages.host_requests import HostRequest
from shoal_worker.hypervisor import HypervisorError

PROGRESS_S = 1.0
#: how long an answer that is broken off may clean up after itself (a guest that is being saved goes on)
CLEAN_UP_S = 8.0
#: how many questions are worked on at once; the others wait
AT_ONCE = 16
_STATUS = {codec.STATUS_HEADER: codec.PROGRESS}

#: called with (done, total, text) while an answer is being found
Told = Callable[[int, int, str], None]
Answer = Callable[[Any, Told], Awaitable[Any]]


class Answering:
    """The questions of one host. `answers` has a function for each kind of question; `others` are verbs that somebody
    else answers. `up_to_date` tells whether what arrives now was sent a moment ago; see Backlog.
    """

    def __init__(
        self,
        bus: Bus,
        host: str,
        answers: Mapping[type[HostRequest[Any]], Answer],
        log: Any,
        *,
        others: frozenset[str] = frozenset({"inventory"}),
        up_to_date: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bus = bus
        self._host = host
        self._answers = answers
        self._kinds = {kind.verb: kind for kind in answers}
        self._others = others
        self._log = log
        self._up_to_date = up_to_date
        #: what is asked, and whether it comes too late
        self._questions: asyncio.Queue[tuple[Message, bool]] = asyncio.Queue()
        self._free = asyncio.Semaphore(AT_ONCE)

    async def subscribe(self) -> None:
        """Listen; questions are answered once `run` runs."""
        await self._bus.subscribe(subjects.host_requests(self._host), self._take)

    def _take(self, message: Message) -> None:
        # Nobody hears an answer without a reply subject; one that is no inbox may be somebody's command.
        if subjects.is_inbox(message.reply) and subjects.asked(message.subject) not in self._others:
            self._questions.put_nowait((message, not self._up_to_date()))

    async def run(self) -> None:
        """Answer, until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                message, late = await self._questions.get()
                group.create_task(self._serve(message, late=late), name=message.subject)

    async def _serve(self, message: Message, *, late: bool) -> None:
        encoding: codec.Encoding = "json"
        verb = subjects.asked(message.subject)
        try:
            encoding = codec.encoding_of(message.body)
            if late:
                raise Unavailable(
                    f"the worker of host {self._host} stood still, and has not done what it was asked (`{verb}`): ask again",
                    names=(self._host,),
                )
            kind = self._kinds.get(verb)
            if kind is None:
                raise NotFound(
                    f"the worker of host {self._host} knows no `{verb}`: is it older than who asks?",
                    names=(self._host,),
                )
            request = codec.decode(message.body, kind, limit=codec.MAX_COMMAND_BYTES)
            body = codec.fitting(codec.encode(await self._answer(kind, request, message, encoding), encoding))
        except (ShoalError, HypervisorError) as error:
            await self._refuse(message, encoding, error)
        except Exception:  # noqa: BLE001  # one question's fault must not end the worker
            self._log.exception("question-failed", verb=verb)
            failed = ShoalError(f"`{verb}` failed inside the worker of {self._host}; its log says why")
            await self._refuse(message, encoding, failed)
        else:
            await self._send(message, body)

    async def _answer(
        self, kind: type[HostRequest[Any]], request: Any, message: Message, encoding: codec.Encoding
    ) -> Any:
        latest = [Progress()]

        def told(done: int, total: int, text: str) -> None:
            latest[0] = Progress(done=done, total=total, text=text)

        task = asyncio.ensure_future(self._work(kind, request, told))
        try:
            while not (await asyncio.wait((task,), timeout=PROGRESS_S))[0]:
                await self._send(message, codec.encode(latest[0], encoding), _STATUS)
            return task.result()
        finally:
            if not task.done():
                await self._break_off(task, kind.verb)

    async def _break_off(self, task: asyncio.Future[Any], verb: str) -> None:
        """Cancel, and wait for what is cleaned up then: what it is cleaned up with is closed once we have ended."""
        task.cancel()
        await asyncio.wait((task,), timeout=CLEAN_UP_S)
        if not task.done():
            self._log.error("question-not-broken-off", verb=verb, waited_s=CLEAN_UP_S)
        elif not task.cancelled() and (error := task.exception()) is not None:
            self._log.warning("question-broken-off", verb=verb, error=str(error))

    async def _work(self, kind: type[HostRequest[Any]], request: Any, told: Told) -> Any:
        async with self._free:
            return await self._answers[kind](request, told)

    async def _refuse(self, message: Message, encoding: codec.Encoding, error: Exception) -> None:
        known = error if isinstance(error, ShoalError) else Refused(str(error))
        await self._send(message, codec.encode(codec.failure_of(known), encoding), codec.error_headers(known))

    async def _send(self, message: Message, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            await self._bus.publish(message.reply, body, headers=headers)
        except ShoalError as error:
            self._log.warning("answer-lost", subject=message.subject, error=error.message)
