"""Endpoints as a NATS micro service (ADR-32), so that `nats micro ls / info / stats` show them.

Refuses to know what the endpoints do. nats-py runs one request at a time for each endpoint, so handlers here are
plain functions that start what takes time elsewhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

import nats.errors
import nats.micro
from nats.micro.request import Request
from nats.micro.service import EndpointConfig, Service

from shoal.bus.connection import NatsBus
from shoal.bus.nats_client import ALONE
from shoal.bus.protocol import Bus, Message


class Endpoint(NamedTuple):
    """A name for people, a subject (wildcards allowed), what it is for, and who gets its messages."""

    name: str
    subject: str
    description: str
    handler: Callable[[Message], None]


@contextlib.asynccontextmanager
async def serve(
    bus: Bus, *, name: str, version: str, description: str, endpoints: Sequence[Endpoint]
) -> AsyncIterator[None]:
    """Answer on these endpoints until the context is left; everyone who serves hears every request.

    A bus that is not NATS has no services, but the same subjects.
    """
    if not isinstance(bus, NatsBus):
        async with contextlib.AsyncExitStack() as ending:
            for endpoint in endpoints:
                ending.push_async_callback((await bus.subscribe(endpoint.subject, endpoint.handler)).stop)
            await bus.settle()
            yield
        return
    service: Service = await nats.micro.add_service(
        bus.client, name=name, version=version, description=description, queue_group=ALONE
    )
    try:
        for endpoint in endpoints:

            async def deliver(request: Request, to: Callable[[Message], None] = endpoint.handler) -> None:
                raw = request._msg  # noqa: SLF001  (nats-py's Request hides the reply subject)
                to(Message(raw.subject, raw.data, raw.reply, raw.headers or {}))

            await service.add_endpoint(
                EndpointConfig(
                    name=endpoint.name,
                    subject=endpoint.subject,
                    handler=deliver,
                    metadata={"description": endpoint.description},
                )
            )
        await bus.settle()
        yield
    finally:
        with contextlib.suppress(nats.errors.Error):
            await service.stop()
