"""Which replicas lag, as the STREAM.INFO answer of a NATS server tells it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.bus import replicas
from shoal.bus.protocol import Message
from shoal.bus.replicas import in_step, lagging
from shoal.errors import StoreUnavailable


def info(*found: dict[str, Any]) -> bytes:
    return json.dumps({"state": {"messages": 3}, "cluster": {"leader": "n1", "replicas": found}}).encode()


IN_STEP = {"name": "n2", "current": True, "active": 1000}
BEHIND = {"name": "n3", "current": True, "active": 1000, "lag": 7}
GONE = {"name": "n3", "current": False, "offline": True, "lag": 900}


class Answering:
    """A server whose answers come one after the other; the last one stays."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked = 0

    async def request(self, subject: str, body: bytes, *, timeout_s: float) -> Message:
        assert (body, timeout_s > 0) == (b"", True)
        self.asked += 1
        return Message(subject, self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])


def test_what_lags_is_named_and_what_is_away_does_not_count() -> None:
    """A server that is down answers nobody; a stream without replicas has none that lag."""
    assert lagging(info(IN_STEP, BEHIND)) == ["n3"]
    assert lagging(info(IN_STEP, {"name": "n3", "current": False})) == ["n3"]
    assert lagging(info(IN_STEP, GONE)) == []
    assert lagging(b'{"state": {}}') == []
    assert lagging(info()) == []


async def test_reading_waits_until_a_replica_has_caught_up() -> None:
    """It is asked again until nothing lags any more."""
    bus: Any = Answering(info(BEHIND), info(BEHIND), info(IN_STEP))
    await in_step(bus, "S")
    assert bus.asked == 3


async def test_a_replica_that_stays_behind_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from a store of which a part may be old; the error names the server."""
    monkeypatch.setattr(replicas, "_PATIENCE_S", 0.1)
    bus: Any = Answering(info(BEHIND))
    with pytest.raises(StoreUnavailable, match="on n3 does not catch up"):
        await in_step(bus, "S")
