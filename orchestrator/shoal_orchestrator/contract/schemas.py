"""JSON Schemas of message classes, in words that draft 7 (which AsyncAPI speaks) and 2020-12 both understand.

Refuses to know where messages travel.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec

from shoal.messages.events import Event

Schema = dict[str, Any]
_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$"
#: fields that every event has, since they are filled in when it is published
ALWAYS = ("event", "name", "at", "id", "epoch")


def schemas_of(classes: Iterable[type], ref_template: str) -> dict[str, Schema]:
    """A schema for each class, and for each that its fields mention, by the class's name."""
    _, found = msgspec.json.schema_components(dict.fromkeys(classes), ref_template=ref_template)
    return {name: _plain(schema) for name, schema in sorted(found.items())}


def event_schema(event: type[Event], schema: Schema) -> Schema:
    """The schema of an event as it is published: its type, its time and its id are always there."""
    properties = {**schema["properties"], "event": {"const": event.__name__}}
    required = [*ALWAYS, "namespace"] if in_namespace(event) else list(ALWAYS)
    for name in required:
        properties[name] = {key: value for key, value in properties[name].items() if key != "default"}
    properties["at"] = {**properties["at"], "format": "date-time", "pattern": _MOMENT}
    return {**schema, "properties": properties, "required": sorted(required)}


def in_namespace(event: type[Event]) -> bool:
    """Whether an event is about something in a namespace; hosts are the cluster's."""
    return event.noun != "host"


def _plain(schema: Any) -> Any:
    """Tuples as lists, and descriptions without the indentation of the source."""
    if isinstance(schema, (list, tuple)):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain(value) for key, value in schema.items()}
    if "prefixItems" in plain:
        # The drafts spell tuples differently; lists of a fixed length they spell alike.
        kinds = plain.pop("prefixItems")
        plain["items"] = kinds[0] if all(kind == kinds[0] for kind in kinds) else {"anyOf": kinds}
    if isinstance(plain.get("description"), str):
        plain["description"] = inspect.cleandoc(plain["description"])
    return plain
