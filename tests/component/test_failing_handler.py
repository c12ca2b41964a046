"""A handler of the orchestrator that raises what nobody expected: its caller is told, and everybody else is served."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from structlog.testing import capture_logs

from shoal import subjects
from shoal.bus.memory_blobs import MemoryBlobs
from shoal.bus.memory_bus import MemoryServer
from shoal.bus.memory_streams import MemoryState, MemoryStreams
from shoal.client.connection import Client
from shoal.errors import ShoalError
from shoal.messages.hosts import ListMesh
from shoal.messages.namespaces import CreateNamespace, ListNamespaces
from shoal_orchestrator.handlers import HANDLERS
from shoal_orchestrator.service import Orchestrator
from shoal_orchestrator.settings import Settings


@contextlib.asynccontextmanager
async def led():
    """A bus in memory on which a real orchestrator leads, and a client on it."""
    server = MemoryServer()
    bus = server.connect("orchestrator")
    state = MemoryState(bus, MemoryStreams(server))
    orchestrator = Orchestrator(bus, state, MemoryBlobs(), Settings(head="head"), random.Random(1))
    leading = asyncio.ensure_future(orchestrator.run())
    await asyncio.wait_for(orchestrator.ready.wait(), 30)
    try:
        yield server.connect("client")
        assert not leading.done(), "the term has ended"
    finally:
        orchestrator.stop()
        await leading


async def broken(*_):
    """What no handler should do."""
    raise ZeroDivisionError("by a planet")


@pytest.mark.parametrize("command", [CreateNamespace, ListNamespaces])
async def test_a_request_whose_handler_raises_is_answered_and_the_next_is_served(monkeypatch, command):
    """One that changes something or only reads: a clear error without its insides, and the same command works when mended."""
    whole = HANDLERS[command]
    arguments = {"name": "red"} if command is CreateNamespace else {}
    async with led() as bus:
        client = Client(bus, random.Random(2))
        monkeypatch.setitem(HANDLERS, command, broken)
        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(ShoalError) as failed:
                    await client.call(command(**arguments), timeout_s=20)
                assert str(failed.value) == (
                    f"{command.__name__} failed inside the orchestrator; its log says why"
                )
                assert failed.value.code == 500
        assert [line["command"] for line in logs if line["event"] == "handler-failed"] == [
            command.__name__
        ] * 3
        assert (await client.call(ListMesh(which="status"), timeout_s=20)).items == ()
        monkeypatch.setitem(HANDLERS, command, whole)
        await client.call(command(**arguments), timeout_s=20)


async def test_a_line_whose_handler_raises_is_answered_and_the_next_is_served(monkeypatch):
    """At the console too."""
    async with led() as bus:
        monkeypatch.setitem(HANDLERS, ListNamespaces, broken)
        with capture_logs() as logs:
            answer = await bus.request(subjects.CONSOLE, b"namespace", timeout_s=20)
        assert answer.body == b"E: the command failed inside the orchestrator; its log says why\n"
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["console-failed"]
        monkeypatch.undo()
        assert b"minimega" in (await bus.request(subjects.CONSOLE, b"namespace", timeout_s=20)).body
