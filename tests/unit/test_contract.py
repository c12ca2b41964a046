"""The documents of the bus that are generated from the message classes: fresh, whole, and true of what is sent.

AsyncAPI's own JSON Schema is not part of this project, so the structure of docs/asyncapi.json is checked here rule by
rule, by the words of the specification (3.0.0), as far as the document uses them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from shoal import subjects
from shoal.messages.catalogue import COMMANDS
from shoal.messages.events import EVENTS, Event, VMStarted
from shoal_orchestrator.contract.__main__ import generated, main
from shoal_orchestrator.contract.asyncapi import document
from shoal_orchestrator.contract.bus import between_programs, host_request_classes, stored
from shoal_orchestrator.contract.events import event_page, event_schemas
from shoal_orchestrator.contract.schemas import in_namespace
from shoal_orchestrator.core.records import Record
from shoal_orchestrator.core.stored_records import record_kind
from shoal_worker.answers import ANSWERS

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = document()
EVENT_SCHEMA = jsonschema.Draft202012Validator(event_schemas())


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def at(reference: str) -> Any:
    """What a reference leads to; KeyError where it leads nowhere."""
    assert reference.startswith("#/")
    found: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


def published(kind: type[Event]) -> dict[str, Any]:
    """An event as it is on the bus."""
    event = kind(
        event=kind.__name__,
        namespace="red" if in_namespace(kind) else "",
        name="x",
        at="2026-11-22T14:04:28Z",
        id="1",
        epoch=3,
    )
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(event))
    return found


@pytest.mark.parametrize("name", ["events.md", "events.schema.json", "asyncapi.json"])
def test_the_files_are_not_stale(name: str) -> None:
    """What is in docs/ is what the classes say now: `make docs` writes it anew."""
    assert (DOCS / name).read_text(encoding="utf-8") == generated(DOCS)[DOCS / name]


def test_they_are_written_into_the_folder_that_is_named(tmp_path: Path) -> None:
    """`python -m shoal_orchestrator.contract DIR` writes all of them, and leaves the words around the catalogue."""
    (tmp_path / "events.md").write_text(
        "before\n<!-- events: begin -->\nstale row\n<!-- events: end -->\nafter\n"
    )
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "events.md").read_text()
    assert page.startswith("before\n<!-- events: begin -->\n| event |")
    assert page.endswith("<!-- events: end -->\nafter\n")
    assert "stale row" not in page
    assert json.loads((tmp_path / "asyncapi.json").read_text()) == DOCUMENT


def test_a_page_without_a_place_for_the_catalogue_is_refused() -> None:
    """Nothing is written over a page that has lost its marks."""
    with pytest.raises(ValueError, match="cannot write the catalogue"):
        event_page("words")


# --- the schema of events --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_fits_its_schema_and_no_other(kind: type[Event]) -> None:
    """An event as it is published fits the schema; under another type's name, or without its id, it does not."""
    body = published(kind)
    EVENT_SCHEMA.validate(body)
    for wrong in (
        {**body, "event": "Nonsense"},
        {key: value for key, value in body.items() if key != "id"},
        {**body, "name": 7},
        {**body, "at": "yesterday"},
    ):
        assert not EVENT_SCHEMA.is_valid(wrong)


def test_fields_of_a_newer_version_fit() -> None:
    """A field that is not known yet does not make an event invalid: versions may be mixed."""
    assert EVENT_SCHEMA.is_valid({**published(VMStarted), "flavour": "new"})


# --- the AsyncAPI document -------------------------------------------------------------------------------


def test_it_says_what_it_is() -> None:
    """The fields that AsyncAPI requires are there, and only those that it knows."""
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT) <= {
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= set(server)
    assert set(DOCUMENT["components"]) <= {"messages", "schemas", "parameters"}


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` is broken, and nothing under components is there for nobody."""
    found = set(references(DOCUMENT))
    for reference in found:
        at(reference)
    for kind, parts in DOCUMENT["components"].items():
        for name in parts:
            assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
            assert f"#/components/{kind}/{name}" in found


def test_every_channel_has_its_address_parameters_and_messages() -> None:
    """A channel's parameters are those in its address; its messages are components; only replies have no address."""
    for name, channel in DOCUMENT["channels"].items():
        assert set(channel) <= {"address", "messages", "parameters"}
        assert (channel["address"] is None) == (name == "replies")
        wanted = set(re.findall(r"\{(\w+)\}", channel["address"] or ""))
        assert set(channel.get("parameters", {})) == wanted
        assert channel["messages"]
        for message in channel["messages"].values():
            assert message["$ref"].startswith("#/components/messages/")


def test_every_operation_uses_messages_of_its_channel() -> None:
    """An operation sends or receives, on a channel, messages that this channel has; its reply likewise."""
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert set(operation) <= {"action", "channel", "summary", "messages", "bindings", "reply"}
        for side in (operation, operation.get("reply")):
            if side is not None:
                assert side["messages"]
                for message in side["messages"]:
                    assert message["$ref"].startswith(f"{side['channel']['$ref']}/messages/")
        if "reply" in operation:
            assert operation["reply"]["address"]["location"].startswith("$message.header#/")


@pytest.mark.parametrize("validator", [jsonschema.Draft7Validator, jsonschema.Draft202012Validator])
def test_the_schemas_are_schemas(validator: type[jsonschema.Draft7Validator]) -> None:
    """Each schema is valid, by the draft that AsyncAPI's own schemas extend and by the latest."""
    for schema in DOCUMENT["components"]["schemas"].values():
        validator.check_schema(schema)
    assert "prefixItems" not in json.dumps(DOCUMENT)


def test_payloads_are_told_apart_by_their_schemas() -> None:
    """A message's payload is validated: a request that is as it should be fits, one of a wrong type does not."""
    schema = {"$ref": "#/components/schemas/LaunchVMs", "components": DOCUMENT["components"]}
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate({"names": "web[1-3]", "spec": {"memory_mib": 512, "networks": [{"vlan": "LAN"}]}})
    assert not validator.is_valid({"names": "web", "spec": {"memory_mib": "much"}})
    assert not validator.is_valid({})


# --- everything is in it ---------------------------------------------------------------------------------


def test_every_command_is_in_it() -> None:
    """Each command is received on its subject, and answered with its reply, progress or a failure."""
    for command in COMMANDS:
        operation = DOCUMENT["operations"][f"{command.noun}.{command.verb}"]
        channel = at(operation["channel"]["$ref"])
        assert channel["address"] == subjects.command(
            command.scope, command.noun, command.verb, "{namespace}"
        )
        back = {message["$ref"].rpartition("/")[2] for message in operation["reply"]["messages"]}
        assert back == {command.reply.__name__, "Progress", "Failure"}


def test_every_event_is_in_it() -> None:
    """Each event is sent on its subject."""
    for event in EVENTS:
        channel = at(DOCUMENT["operations"][f"event.{event.noun}.{event.what}"]["channel"]["$ref"])
        namespace = "{namespace}" if in_namespace(event) else ""
        assert channel["address"] == subjects.event(namespace, event.noun, event.what, "{name}")


def test_every_question_to_a_worker_is_in_it() -> None:
    """What a worker answers is what the document lists."""
    assert set(host_request_classes()) == set(ANSWERS)
    verbs = [
        subjects.asked(flow.subject) for flow in between_programs() if flow.subject.startswith("shoal.host.")
    ]
    assert len(verbs) == len(set(verbs)) == len(ANSWERS) + 1


def test_every_record_is_in_it() -> None:
    """Each kind of record is listed under the subject from which it is read again."""
    flows = {flow.message: flow.subject for flow in stored()}
    assert set(Record.__args__) <= set(flows)
    for kind, subject in flows.items():
        if subject not in (subjects.FENCE, subjects.LEASE):
            assert record_kind(subject.replace("{chunk}", "1")) is kind


def test_no_two_messages_share_a_name() -> None:
    """A message is known by its class's name: two classes of one name would be one message."""
    classes: set[type] = {*COMMANDS, *(command.reply for command in COMMANDS), *EVENTS}
    classes |= {
        kind for flow in (*between_programs(), *stored()) for kind in (flow.message, flow.reply) if kind
    }
    assert len({kind.__name__ for kind in classes}) == len(classes)
