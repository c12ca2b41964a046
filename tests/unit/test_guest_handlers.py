"""Handlers that reach into guests: what one host refuses is its own, and no file is lost to a picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shoal.errors import Conflict, Refused
from shoal.messages.guests import Screenshot
from shoal_orchestrator.handlers import guests


async def test_a_host_that_cannot_be_asked_is_one_failure() -> None:
    """Measuring goes on without a host that is suspect; what it would have said is a failure, not the end."""

    async def ask(host: str, *_: object) -> Any:
        raise Refused(f"cannot ask host {host}: it is suspect")

    leader: Any = SimpleNamespace(workers=SimpleNamespace(ask=ask))
    call: Any = SimpleNamespace(progress=None)
    rows, failures = await guests._measure(leader, "mm1", {}, 1, call)
    assert rows == []
    assert [failure.message for failure in failures] == ["cannot ask host mm1: it is suspect"]


async def test_a_picture_replaces_no_other_file_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk image is not replaced by a screenshot because somebody gave it its name."""
    monkeypatch.setattr(guests, "one_guest", lambda *_: SimpleNamespace(name="a", host="mm1", instance="i"))
    leader: Any = SimpleNamespace(model=SimpleNamespace(files={"disks/base.qcow2": None}))
    call: Any = None
    with pytest.raises(Conflict, match=r"the cluster has a file of that name"):
        await guests.take_screenshot(leader, "red", Screenshot(vm="a", file="disks/base.qcow2"), call)
