"""Each request is told of: its id on every line of the log, its outcome in the metrics."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from shoal.errors import Conflict
from shoal.messages.base import Done, Failure, Request
from shoal.messages.hosts import ListMesh
from shoal.messages.namespaces import CreateNamespace
from shoal.metrics.recorder import Recorder
from shoal_orchestrator.measures import CATALOGUE
from shoal_orchestrator.telling import tell

LOG = structlog.get_logger("elsewhere")


@pytest.fixture
def log():
    """What is logged, as the orchestrator's log is set up: with what is bound to the context."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    yield capture.entries
    structlog.configure(**before)


async def told(request: Request[Any], work) -> tuple[Recorder, Any]:
    recorder = Recorder(CATALOGUE)
    leader: Any = SimpleNamespace(metrics=recorder, requests_running=0)
    try:
        await tell(leader, "id1", "red", request, work)
    finally:
        assert leader.requests_running == 0
        outcomes = next(s.values for s in recorder.snapshot() if s.metric.name == "shoal_requests_total")
        leader.outcomes = {labels[2]: count for labels, count in outcomes.items()}
    return recorder, leader


async def test_everything_that_is_done_for_a_request_bears_its_id(log) -> None:
    """Lines of other modules and of tasks that were begun for it bear the id, what comes later does not."""
    later: list[asyncio.Task[None]] = []

    async def deep() -> None:
        LOG.info("in-a-task")

    async def work() -> Done:
        LOG.info("here")
        later.append(asyncio.create_task(deep()))
        return Done()

    _, leader = await told(CreateNamespace(name="red"), work)
    await asyncio.gather(*later)
    LOG.info("after")
    assert [(line["event"], line.get("request")) for line in log] == [
        ("request-begun", "id1"),
        ("here", "id1"),
        ("request-ended", "id1"),
        ("in-a-task", "id1"),
        ("after", None),
    ]
    assert leader.outcomes == {"ok": 1}


async def test_refusals_and_faults_have_their_outcome(log) -> None:
    """A refusal counts under its kind and is told with its message, a fault counts as Internal; both are raised."""
    refused = Conflict("vm already exists with name `a`")

    async def refuse() -> Done:
        raise refused

    async def fail() -> Done:
        raise KeyError("a fault")

    async def partly() -> Done:
        return Done(failures=(Failure(kind="Refused", code=409, message="a"),))

    with pytest.raises(Conflict):
        await told(CreateNamespace(name="red"), refuse)
    assert (log[-1]["outcome"], log[-1]["error"]) == ("Conflict", refused.message)
    with pytest.raises(KeyError):
        await told(CreateNamespace(name="red"), fail)
    assert log[-1]["outcome"] == "Internal"
    await told(CreateNamespace(name="red"), partly)
    assert log[-1]["outcome"] == "partly"


async def test_what_only_reads_is_not_logged_at_info(log) -> None:
    """A look at the cluster each second does not fill the log."""

    async def work() -> Done:
        return Done()

    await told(ListMesh(), work)
    assert {line["log_level"] for line in log} == {"debug"}
