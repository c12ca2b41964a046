"""nats-py's client, with a short way through headers, and with waits that can be cancelled.

Every stored record arrives with seven headers; `tests/unit/test_nats_client.py` holds ours to what nats-py itself makes
of them. Refuses to know what headers and messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

#: what nats-py's services, which cannot do without, call their queue group where there is none
ALONE = "-"


@contextlib.contextmanager
def cancellable() -> Iterator[None]:
    """Raise CancelledError at the end of the block if the task was cancelled in it and the block took no notice.

    nats-py waits with `asyncio.wait_for`, which until Python 3.12 passes over a cancellation that comes together with
    what is waited for (CPython issue 86296). A task that is cancelled once, and then waited for, would go on for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


class QuickClient(Client):
    """A NATS connection."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Names and values of a header block; nats-py's own way takes what is not plain ASCII, at four times the cost."""
        found: dict[str, str] = {}
        if not raw.isascii():
            return Client._parse_header_lines(raw)  # noqa: SLF001  (what this overrides)
        for line in raw.decode("ascii").split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                continue
            name = name.strip()
            if len(name.split()) > 1:
                continue  # RFC 5322, section 3.6.8: no white space inside a name
            found[name] = value.strip()
        return found

    async def subscribe(self, subject: str, queue: str = "", *args: Any, **options: Any) -> Subscription:
        """As nats-py's; in the group `ALONE` nobody shares."""
        return await super().subscribe(subject, "" if queue == ALONE else queue, *args, **options)

    async def connect(self, *args: Any, **options: Any) -> None:
        """As nats-py's."""
        with cancellable():
            await super().connect(*args, **options)

    async def _select_next_server(self) -> None:
        # nats-py forgets the connection of an attempt that failed; the garbage collector would close it some day
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py says no types there
        with cancellable():
            await super()._select_next_server()

    async def close(self) -> None:
        """As nats-py's."""
        with cancellable():
            await super().close()

    async def _process_pong(self) -> None:
        # nats-py tells a flush that was given up of its answer, fails at it, and loses the connection
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def flush(self, *args: Any, **options: Any) -> None:
        """As nats-py's."""
        with cancellable():
            await super().flush(*args, **options)

    async def _request_new_style(self, *args: Any, **options: Any) -> Msg:
        with cancellable():
            return await super()._request_new_style(*args, **options)
