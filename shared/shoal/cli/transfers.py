"""`file put` and `file get`, carried out where the prompt runs, with progress on stderr.

This module refuses to know the bus.
"""

from __future__ import annotations

import asyncio
from typing import TextIO

from msgspec.structs import replace

from shoal.cli.connection import Connection
from shoal.cli.progress import progress_on
from shoal.core.files import size_text
from shoal.errors import TimedOut
from shoal.messages.base import Reply
from shoal.messages.files import FileAnswer, GetFile, PutFile


class Transfers:
    """Carries content between local files and the cluster; the session's `transfer`."""

    def __init__(self, connection: Connection, stderr: TextIO) -> None:
        self._connection = connection
        self._stderr = stderr

    async def __call__(self, request: PutFile | GetFile) -> Reply:
        """Put or get one file. Raises ShoalError."""
        limit_s = self._connection.timeout_s
        try:
            async with asyncio.timeout(limit_s):
                return await self._carry(request)
        except TimeoutError:
            raise TimedOut(f"file {request.verb} did not end within {limit_s or 0:g} s") from None

    async def _carry(self, request: PutFile | GetFile) -> Reply:
        async with progress_on(self._stderr) as progress:
            files = (await self._connection.client()).files
            if isinstance(request, GetFile):
                return await files.get(request.name, request.path, progress=progress)
            answer = await files.put(request.path, request.name, replace=request.replace, progress=progress)
        return _noted(answer) if not request.name else answer


def _noted(answer: FileAnswer) -> FileAnswer:
    """Say under which name a file is there now that was put without one."""
    note = f"put as `{answer.name}` ({size_text(answer.size)})"
    return replace(answer, notes=(*answer.notes, note))
