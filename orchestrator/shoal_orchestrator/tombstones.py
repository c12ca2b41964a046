"""Purges what was deleted from the state stream, as it comes.

Refuses to know why it was deleted. An empty body says the same as nothing: what could not be purged is purged by the
next leader.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable

import structlog

from shoal.bus.protocol import Conflicted, StateStream
from shoal.errors import ShoalError
from shoal_orchestrator.core.model import Model

LOG = structlog.get_logger("shoal.tombstones")


class Tombstones:
    """Subjects whose records were deleted. What is written again meanwhile has a higher sequence, and stays."""

    def __init__(self, stream: StateStream, model: Model) -> None:
        self._stream = stream
        self._model = model
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()

    def add(self, subjects: Iterable[str]) -> None:
        """These were deleted, and that is stored."""
        self._waiting.extend(subjects)
        if self._waiting:
            self._wake.set()

    async def run(self) -> None:
        """Purge until cancelled."""
        model = self._model
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            subject = self._waiting.popleft()
            sequence = model.sequences.get(subject)
            if sequence is None or subject in model.records:
                continue
            try:
                await self._stream.purge(subject, below=sequence + 1)
            except (ShoalError, Conflicted) as error:
                LOG.warning("purge-failed", subject=subject, error=str(error))
            if model.sequences.get(subject) == sequence:
                del model.sequences[subject]
