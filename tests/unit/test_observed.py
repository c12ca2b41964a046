"""What hosts were last seen to have, and how that reads to a user."""

from __future__ import annotations

from typing import Any

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, VMStatus
from shoal_orchestrator.core.observed import SeenHost, view


def status(**more: Any) -> VMStatus:
    """What a host says of instance i1."""
    said = {"namespace": "foo", "name": "a", "instance": "i1", "revision": 1, "state": "RUNNING", **more}
    return VMStatus(**said)


def record(**more: Any) -> LaunchRecord:
    """The record of instance i1."""
    fields: dict[str, Any] = {
        "namespace": "foo",
        "name": "a",
        "id": 0,
        "instance": "i1",
        "revision": 1,
        "power": "running",
        "host": "mm1",
        "incarnation": "inc",
        "uuid": "u",
        "config": VMConfig(),
    }
    return LaunchRecord(**{**fields, **more})


def test_uptime_goes_on_between_reports() -> None:
    """A VM that runs grows older although its host says nothing new of it; one that is paused has no uptime."""
    seen = SeenHost()
    seen.take(status(uptime_s=3.0), now=100.0)
    assert seen.uptime_s("i1", 100.0) == 3.0
    assert seen.uptime_s("i1", 160.0) == 63.0
    seen.take(status(state="PAUSED"), now=170.0)
    assert seen.uptime_s("i1", 180.0) == 0.0


def test_what_is_gone_is_forgotten() -> None:
    """Nothing is known of a VM that its host has forgotten, or does not list."""
    seen = SeenHost()
    for forget in (lambda: seen.take(status(gone=True), now=2.0), lambda: seen.forget("i1")):
        seen.take(status(uptime_s=1.0), now=1.0)
        forget()
        assert seen.instances == {}
        assert seen.uptime_s("i1", 9.0) == 0.0


def test_views() -> None:
    """What is wanted and what was seen read as one state."""
    assert view(record(), status(), "alive", uptime_s=5.0).uptime_s == 5.0
    assert view(record(), status(), "lost").state == "LOST"
    assert view(record(), status(), "alive", "another").state == "LOST"
    assert view(record(), None, "alive").state == "BUILDING"
    assert view(record(), status(instance="i2"), "alive").state == "BUILDING"


def test_what_was_killed_has_quit_only_when_its_host_has_said_so() -> None:
    """A VM that is to be off may still run on a host that has not spoken: its name must not be given away."""
    off = record(power="off", revision=2)
    for host in ("lost", "unknown", "suspect", "alive"):
        assert view(off, None, host).state == "LOST"
    assert view(off, status(), "lost").state == "LOST"
    assert view(off, status(), "alive").state == "RUNNING"
    assert view(off, status(state="QUIT", revision=2), "alive").state == "QUIT"
    assert view(off, status(state="QUIT", revision=2), "lost").state == "QUIT"
    assert view(off, None, "alive", "another").state == "QUIT", "the host that had it is no more"
