"""The command line's way to the cluster: connects when the first request is sent, and not before.

This module refuses to know the command language. `shoal.client` is imported with the first request, so that
`help` and `version` need neither the server nor the time that its library takes to import.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Self, TextIO

from shoal.cli.progress import progress_on
from shoal.messages.base import Reply, Request
from shoal.messages.doctor import CheckCluster

if TYPE_CHECKING:
    from types import TracebackType

    from shoal.client import Client

CLIENT_NAME = "shoal-cli"


class Connection:
    """A client that is opened at its first use. An async context manager: it is closed at the end."""

    def __init__(self, server: str, *, timeout_s: float | None, stderr: TextIO) -> None:
        self._server = server
        #: how long a command may take; None: as long as it takes
        self.timeout_s = timeout_s
        self._limits: dict[str, Any] = {} if timeout_s is None else {"timeout_s": timeout_s}
        self._stderr = stderr
        self._stack = AsyncExitStack()
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def call(self, namespace: str, request: Request[Any]) -> Reply:
        """Send a request and wait for its reply, with progress on stderr. Raises ShoalError."""
        async with progress_on(self._stderr) as progress:
            client = await self.client()
            if isinstance(request, CheckCluster):
                # something can be said without an orchestrator, too, and at once
                return await client.check(progress=progress, **self._limits)
            reply: Reply = await client.call(request, namespace=namespace, progress=progress, **self._limits)
        return reply

    async def ask(self, namespace: str, request: Request[Any], timeout_s: float) -> Reply:
        """Send a request quietly, for completion. Raises ShoalError."""
        client = await self.client()
        reply: Reply = await client.call(request, namespace=namespace, timeout_s=timeout_s)
        return reply

    async def client(self) -> Client:
        """The client, connected. Raises Unavailable."""
        if self._client is None:
            from shoal.client import connect  # noqa: PLC0415  # imports nats: 120 ms

            self._client = await self._stack.enter_async_context(connect(self._server, name=CLIENT_NAME))
        return self._client
