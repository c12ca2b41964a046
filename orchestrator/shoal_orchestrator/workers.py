"""Asks workers what is not state: requests to one host, answered by its worker.

Refuses to know what is asked. A worker that works on an answer says so once a second; one that is silent is given
up after a few seconds, and what it was asked may still be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec

from shoal import codec, subjects
from shoal.bus.protocol import Bus, Message
from shoal.errors import Refused, ShoalError, TimedOut, Unavailable
from shoal.messages.base import Failure, Progress
from shoal.messages.host_requests import HostRequest
from shoal_orchestrator.inventory import HostInventory

#: a worker that is there says so once a second
SILENCE_S = 5.0
_AT_ONCE = 64

A = TypeVar("A", bound=msgspec.Struct)
Told = Callable[[int, int, str], None]


def _untold(_: int, __: int, ___: str) -> None:
    return


class Workers:
    """The workers of all hosts."""

    def __init__(self, bus: Bus, inventory: HostInventory) -> None:
        self._bus = bus
        self._inventory = inventory

    async def ask(self, host: str, request: HostRequest[A], told: Told = _untold) -> A:
        """The worker's answer. Raises what the worker refused with; Refused for a host that is not alive,
        Unavailable or TimedOut when its worker does not answer.
        """
        state = self._inventory.state(host)
        if state != "alive":
            raise Refused(f"cannot ask host {host}: it is {state}; `mesh status` tells when it is back")
        try:
            message = await self._answer(host, request, told)
        except (Unavailable, TimedOut) as error:
            raise type(error)(f"the worker of host {host} does not answer `{request.verb}`") from error
        # Outside of that: a worker may itself say that something (the file store) is unavailable.
        if codec.ERROR_CODE_HEADER in message.headers:
            raise codec.error_of(codec.decode(message.body, Failure))
        answer: Any = codec.decode(message.body, request.answer)
        return answer  # type: ignore[no-any-return]  # the type that the request names

    async def _answer(self, host: str, request: HostRequest[Any], told: Told) -> Message:
        """The first message that is not about how far it is. TimedOut or Unavailable when there is none."""
        subject = subjects.host_request(host, request.verb)
        async with self._bus.answers(subject, codec.encode(request), silence_s=SILENCE_S) as answers:
            async for message in answers:
                if message.headers.get(codec.STATUS_HEADER) != codec.PROGRESS:
                    return message
                step = codec.decode(message.body, Progress)
                told(step.done, step.total, step.text)
        raise TimedOut(f"no answer to `{subject}`")

    async def ask_all(
        self, hosts: Iterable[str], request: HostRequest[A]
    ) -> tuple[dict[str, A], dict[str, ShoalError]]:
        """The answers of several workers to the same request, and the errors of the others, by host."""
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(host: str) -> A | ShoalError:
            async with at_once:
                try:
                    return await self.ask(host, request)
                except ShoalError as error:
                    return error

        names = list(hosts)
        found = dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))
        refused = {host: answer for host, answer in found.items() if isinstance(answer, ShoalError)}
        answers = {host: answer for host, answer in found.items() if not isinstance(answer, ShoalError)}
        return answers, refused
