"""Answers by running a program of this host, where its settings allow it.

Refuses to know the bus.
"""

from __future__ import annotations

from shoal.messages.host_requests import RunProgram, Text
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk


async def run_program(desk: Desk, request: RunProgram, _: Told) -> Text:
    """What the program prints."""
    return Text(text=await desk.programs.run(request.program))
