"""Whether Shoal's streams are on the server, and have the settings that everything relies on.

Refuses to change anything, and to know the client library: whoever has a bus can look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from shoal import subjects
from shoal.bus.protocol import Bus
from shoal.errors import InvalidRequest, PermissionDenied, ShoalError
from shoal.messages.doctor import Finding

_INFO_TIMEOUT_S = 3.0
_NOT_FOUND = 404
_REPUBLISH = {"src": subjects.REPUBLISH_FROM, "dest": subjects.REPUBLISH_TO}
#: the settings of each stream without which something of ours does not work; lists are compared without their order
WANTED: Mapping[str, Mapping[str, Any]] = {
    subjects.STATE_STREAM: {
        "subjects": list(subjects.STATE_SUBJECTS),
        "retention": "limits",
        "storage": "file",
        "max_msgs_per_subject": 1,
        "max_age": 0,
        "allow_direct": True,
        "allow_atomic": True,
        "republish": _REPUBLISH,
    },
    subjects.EVENT_STREAM: {
        "subjects": list(subjects.EVENT_SUBJECTS),
        "retention": "limits",
        "storage": "file",
        "allow_direct": True,
        "republish": {**_REPUBLISH, "headers_only": True},
    },
    subjects.FILE_STREAM: {"subjects": [subjects.ALL_CHUNKS, subjects.ALL_OBJECTS]},
}
_AGAIN = "a new term of the orchestrator sets it right: restart the orchestrator that leads"


async def check_store(bus: Bus) -> tuple[Finding, ...]:
    """What is wrong with the streams. Nothing is raised: what cannot be asked is a finding."""
    found: list[Finding] = []
    for stream, wanted in WANTED.items():
        try:
            answer = await bus.request(f"$JS.API.STREAM.INFO.{stream}", b"", timeout_s=_INFO_TIMEOUT_S)
            said = _object(answer.body)
        except PermissionDenied as error:
            found.append(Finding(severity="note", object=f"stream {stream}", found=error.message))
        except ShoalError as error:
            return (
                Finding(
                    severity="error",
                    object="nats-server",
                    found=f"JetStream does not answer: {error.message}",
                    do="start the server with JetStream (`nats-server -js`); with three servers, see that two run",
                ),
            )
        else:
            found.extend(findings_of(stream, wanted, said))
    return tuple(found)


def findings_of(stream: str, wanted: Mapping[str, Any], said: Mapping[str, Any]) -> list[Finding]:
    """What the server's answer (its STREAM.INFO, as JSON) says against a stream."""
    name = f"stream {stream}"
    error = said.get("error")
    if error:
        missing = error.get("code") == _NOT_FOUND
        told = "it is not there" if missing else f"it cannot be looked at: {error.get('description', '')}"
        return [Finding(severity="error", object=name, found=told, do=_AGAIN)]
    found = [
        Finding(
            severity="error",
            object=name,
            found=f"{key} is {_shown(has)}, not {_shown(want)}",
            do=_AGAIN,
        )
        for key, want in wanted.items()
        if not _alike(want, has := said.get("config", {}).get(key))
    ]
    return [*found, *_replicas(name, said.get("cluster") or {})]


def _replicas(name: str, cluster: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the copies of a stream."""
    if cluster.get("replicas") and not cluster.get("leader"):
        do = "start the servers that are away: with more than half of them nothing is lost"
        return [Finding(severity="error", object=name, found="it has no leader: no quorum", do=do)]
    return [
        Finding(
            severity="warning",
            object=name,
            found=f"the copy on server {copy.get('name')} is {'away' if copy.get('offline') else 'behind'}",
            do="start that server, or look at its log",
        )
        for copy in cluster.get("replicas") or ()
        if copy.get("offline") or not copy.get("current", True)
    ]


def _alike(want: Any, has: Any) -> bool:
    if isinstance(want, list):
        return sorted(want) == sorted(has or [])
    if isinstance(want, Mapping):
        return isinstance(has, Mapping) and all(_alike(value, has.get(key)) for key, value in want.items())
    # the server leaves out what is false, empty or 0
    return bool(want == has) if want else not has


def _shown(value: Any) -> str:
    return "unset" if value is None else json.dumps(value)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body or b"{}")
    except ValueError as error:
        raise InvalidRequest(f"its answer is no JSON: {error}") from error
    return said if isinstance(said, dict) else {}
