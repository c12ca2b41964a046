"""What the answers of a NATS micro service have to look like, as JSON Schemas.

In our own words, after ADR-32 and the schemas that NATS publishes: io.nats.micro.v1 ping_response, info_response and
stats_response (github.com/nats-io/jsm.go, schemas/micro/v1). They require the same, and more where ADR-32 says more.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_NAME: Schema = {"type": "string", "pattern": "^[a-zA-Z0-9_-]+$"}
_TEXT: Schema = {"type": "string", "minLength": 1}
#: https://semver.org: three numbers, then perhaps a pre-release and a build
_VERSION: Schema = {
    "type": "string",
    "pattern": r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$",
}
_METADATA: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
_COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_MOMENT: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}
_ENDPOINT: Schema = {
    "name": _NAME,
    "subject": _TEXT,
    "metadata": _METADATA,
    "queue_group": {"type": "string"},
}


def _answer(kind: str, required: list[str], **more: Schema) -> Schema:
    return {
        "type": "object",
        "properties": {
            "type": {"const": f"io.nats.micro.v1.{kind}_response"},
            "name": _NAME,
            "id": _TEXT,
            "version": _VERSION,
            "metadata": _METADATA,
            **more,
        },
        "required": ["type", "name", "id", "version", *required],
    }


def _endpoints(required: list[str], **more: Schema) -> Schema:
    item = {"type": "object", "properties": {**_ENDPOINT, **more}, "required": ["name", "subject", *required]}
    return {"type": "array", "items": item}


_STATS = ["num_requests", "num_errors", "last_error", "processing_time", "average_processing_time"]
PING = _answer("ping", [])
INFO = _answer("info", ["description", "endpoints"], description={"type": "string"}, endpoints=_endpoints([]))
STATS = _answer(
    "stats",
    ["started", "endpoints"],
    started=_MOMENT,
    endpoints=_endpoints(
        _STATS,
        num_requests=_COUNT,
        num_errors=_COUNT,
        last_error={"type": "string"},
        processing_time=_COUNT,
        average_processing_time=_COUNT,
        data={"type": ["object", "null"]},
    ),
)
