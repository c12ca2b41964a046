"""Batched direct gets (ADR-31): many messages of a stream for one request, by filter, in pages.

Refuses to know what the messages mean. nats-py has no call for it.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from shoal.bus.connection import NatsBus
from shoal.bus.protocol import Message, Stored
from shoal.errors import StoreUnavailable

READ_TIMEOUT_S = 5.0


class Page(NamedTuple):
    """Messages in the order of their sequences, and whether there are more."""

    items: list[Stored]
    more: bool


async def read_page(
    bus: NatsBus, stream: str, subjects: str, sequence: int, *, batch: int, max_bytes: int
) -> Page:
    """The last messages of the subjects under a filter, from `sequence` on: at most `batch`, about `max_bytes`."""
    request = {"seq": sequence, "batch": batch, "max_bytes": max_bytes, "next_by_subj": subjects}
    page: list[Stored] = []
    async with bus.answers(
        f"$JS.API.DIRECT.GET.{stream}", json.dumps(request).encode(), silence_s=READ_TIMEOUT_S
    ) as answers:
        async for message in answers:
            status = message.headers.get("Status")
            if status == "404":
                return Page(page, more=False)
            if status == "204":
                return Page(page, more=int(message.headers.get("Nats-Num-Pending", "0")) > 0)
            if status:
                raise StoreUnavailable(
                    f"cannot read `{subjects}`: {message.headers.get('Description', status)}"
                )
            page.append(stored_of(message))
    return Page(page, more=False)  # pragma: no cover  (the loop ends by an end-of-batch or a time-out)


def stored_of(message: Message) -> Stored:
    """A message of a direct get as what is stored."""
    return Stored(message.headers["Nats-Subject"], int(message.headers["Nats-Sequence"]), message.body)
