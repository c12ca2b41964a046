"""What the server's words about a stream mean."""

from __future__ import annotations

from typing import Any

import pytest

from shoal import subjects
from shoal.bus.server_version import is_too_old
from shoal.bus.store_check import WANTED, findings_of

STATE = subjects.STATE_STREAM


def told(**changes: Any) -> list[str]:
    config = {**WANTED[STATE], "max_age": None, "num_replicas": 1, **changes}
    return [finding.found for finding in findings_of(STATE, WANTED[STATE], {"config": config})]


def test_the_settings_that_we_make_are_right() -> None:
    """In any order, with further ones, and without those that are false."""
    assert told(subjects=list(reversed(subjects.STATE_SUBJECTS)), description="x") == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("max_msgs_per_subject", -1, "max_msgs_per_subject is -1, not 1"),
        ("allow_atomic", None, "allow_atomic is unset, not true"),
        ("max_age", 3600, "max_age is 3600, not 0"),
        ("storage", "memory", 'storage is "memory", not "file"'),
        ("republish", None, "republish is unset"),
        ("republish", {"src": "shoal.>", "dest": "x.>"}, "republish is"),
    ],
)
def test_a_wrong_setting_is_told(key: str, value: object, expected: str) -> None:
    """Each that something of ours relies on."""
    [found] = told(**{key: value})
    assert found.startswith(expected)


def test_a_stream_that_is_not_there_is_told() -> None:
    """And so is one whose copies are away."""
    [missing] = findings_of(STATE, WANTED[STATE], {"error": {"code": 404, "description": "stream not found"}})
    assert missing.found == "it is not there"
    copies = {"leader": "n1", "replicas": [{"name": "n2", "offline": True}, {"name": "n3", "current": True}]}
    [away] = findings_of(STATE, WANTED[STATE], {"config": dict(WANTED[STATE]), "cluster": copies})
    assert (away.severity, away.found) == ("warning", "the copy on server n2 is away")
    [no_quorum] = findings_of(
        STATE, WANTED[STATE], {"config": dict(WANTED[STATE]), "cluster": {"replicas": copies["replicas"]}}
    )
    assert no_quorum.severity == "error"


def test_versions() -> None:
    """2.14 is the first with all that we need."""
    assert [is_too_old(said) for said in ("2.13.9", "2.14.0-RC.1", "2.15.1", "3.0")] == [
        True,
        False,
        False,
        False,
    ]
