"""docs/nats.md, run from top to bottom by a bare connection, as the stock tool would.

A command of the page without a line here fails, and so does a line here without its command.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import nats
import pytest
from tests.component import micro_schemas
from tests.component.stock_tool import PATIENCE_S, Shown, StockTool

from shoal.testing import cluster

DOCS = Path(__file__).parents[2] / "docs"
EVENTS = json.loads((DOCS / "events.schema.json").read_text())
EVENT_SCHEMA = jsonschema.Draft202012Validator(EVENTS)
MICRO = {
    "ls": micro_schemas.INFO,
    "info": micro_schemas.INFO,
    "stats": micro_schemas.STATS,
    "ping": micro_schemas.PING,
}


class Command(NamedTuple):
    """A command of the page, and what the page shows of its outcome."""

    line: str
    output: str


def commands() -> Iterator[Command]:
    """Every line `    nats …` of the page. An indented block that follows at once is what the last of them shows."""
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", (DOCS / "nats.md").read_text(), re.MULTILINE)
    for block in blocks:
        lines = [line[4:] for line in block.splitlines()]
        at = [number for number, line in enumerate(lines) if line.startswith("nats ")]
        for number, following in zip(at, [*at[1:], len(lines)], strict=False):
            yield Command(lines[number], "\n".join(lines[number + 1 : following]).strip())


PAGE = list(commands())
Look = Callable[[list[Shown]], bool]


def fields(**wanted: Any) -> Look:
    """One answer, perhaps after progress, without an error, whose body has these."""

    def look(shown: list[Shown]) -> bool:
        *progress, answer = shown
        assert all(each.headers.get("Shoal-Status") == "progress" for each in progress)
        assert "Nats-Service-Error" not in answer.headers, answer.headers
        body = answer.json
        return {key: body.get(key) for key in wanted} == wanted

    return look


def names(*wanted: str) -> Look:
    """A page of a list with these names."""
    return lambda shown: [item["name"] for item in shown[0].json["items"]] == list(wanted)


def text(*wanted: str) -> Look:
    """A text with these in it, and no error."""
    return lambda shown: (
        "Nats-Service-Error" not in shown[0].headers
        and all(each in shown[0].body.decode() for each in wanted)
    )


def stream_has(*wanted: str) -> Look:
    """Subjects that a stream lists."""
    return lambda shown: set(wanted) <= set(shown[0].json["state"]["subjects"])


def stored_at(subject: str) -> Look:
    """A message of a stream, as the server gives it."""
    return lambda shown: shown[0].json["message"]["subject"] == subject


ASKED: dict[str, Look] = {
    "nats req shoal.console 'mesh list' --timeout 30s": text("head", "mm1", "mm3"),
    "nats req shoal.console 'namespace demo vm launch kvm web[1-2]' --timeout 30s": text(),
    "nats req shoal.console 'namespace demo .columns name,state,host vm info' --timeout 30s --raw": text(
        "web2"
    ),
    "nats req shoal.console '.json true namespace demo vm info' --timeout 30s --raw": lambda shown: (
        bool(shown[0].json) and text("web1", "web2")(shown)
    ),
    "nats req shoal.cluster.namespace.create foo": fields(created=True),
    "nats req shoal.ns.foo.vm.launch 'kvm web[1-3]' --timeout 30s": fields(launched="web[1-3]", count=3),
    "nats req shoal.ns.foo.vm.info ''": names("web1", "web2", "web3"),
    "nats req shoal.ns.foo.vm.start 'web[1-2]' --timeout 30s --raw": fields(vms="web[1-2]", count=2),
    """nats req shoal.ns.foo.vm.start '{"target": "web3"}' --timeout 30s""": fields(vms="web3", count=1),
    """nats req shoal.ns.foo.vm.launch '{"names": "db[1-2]", "spec": {"memory_mib": 512, "networks": [{"vlan": "LAN"}]}}'"""
    " --timeout 30s": fields(launched="db[1-2]", count=2),
    """nats req shoal.ns.foo.ns.bridge '{"bridge": "lan"}'""": fields(failures=None),
    """nats req shoal.cluster.host.mesh '{"which": "status"}'""": lambda shown: (
        len(shown[0].json["items"]) == 4
    ),
    """nats req shoal.cluster.namespace.clear '{"name": "demo"}' --timeout 60s""": fields(
        namespaces=["demo"]
    ),
    """nats req shoal.ns.foo.vm.info '{"limit": 3}'""": lambda shown: (
        names("web1", "web2", "web3")(shown) and shown[0].json["next"] == "2"
    ),
    """nats req shoal.ns.foo.vm.info '{"limit": 3, "after": "2"}'""": lambda shown: (
        names("db1", "db2")(shown) and "next" not in shown[0].json
    ),
    "nats req shoal.ns.foo.vm.start nobody": lambda shown: (
        shown[0].headers["Nats-Service-Error-Code"] == "404"
    ),
    """nats req shoal.ns.foo.vm.launch '{"names": "once", "id": "b0f6c1"}' --replies 0 --timeout 10s --raw""": fields(
        launched="once", count=1
    ),
    "nats stream info SHOAL_EVENTS": lambda shown: (
        shown[0].json["state"]["first_seq"] == 1
        and shown[0].json["config"]["max_age"] == 7 * 24 * 3600 * 10**9
    ),
    "nats stream subjects SHOAL_EVENTS": stream_has(
        "shoal.event.foo.vm.quit.web1", "shoal.event.-.host.alive.mm1"
    ),
    "nats stream get SHOAL_EVENTS 5": lambda shown: shown[0].json["message"]["seq"] == 5,
    "nats stream get SHOAL_EVENTS --last-for shoal.event.foo.vm.quit.web1": stored_at(
        "shoal.event.foo.vm.quit.web1"
    ),
    "nats micro ls": lambda shown: [each.json["name"] for each in shown] == ["shoal"],
    "nats micro ls --json": lambda shown: "launches virtual machines" in shown[0].json["description"],
    "nats micro info shoal": lambda shown: (
        {(each["name"], each["subject"]) for each in shown[0].json["endpoints"]}
        >= {("vm-launch", "shoal.ns.*.vm.launch"), ("console", "shoal.console")}
        and all(each["metadata"]["description"] for each in shown[0].json["endpoints"])
    ),
    "nats micro stats shoal": lambda shown: (
        {each["name"]: each["num_requests"] for each in shown[0].json["endpoints"]}["vm-launch"] >= 4
    ),
    "nats micro ping shoal": lambda shown: shown[0].json["name"] == "shoal",
    "nats stream info SHOAL_STATE": lambda shown: shown[0].json["config"]["max_msgs_per_subject"] == 1,
    "nats stream subjects SHOAL_STATE": stream_has("shoal.fence", "shoal.lease", "shoal.state.namespace.foo"),
    "nats stream get SHOAL_STATE --last-for shoal.state.namespace.foo": stored_at(
        "shoal.state.namespace.foo"
    ),
    "nats req shoal.host.mm1.inventory ''": fields(host="mm1"),
}

BROKEN = """'{"names": "broken", "spec": {"append": ["simulate.fail_after=0"]}}'"""
#: subscriptions: what is then asked for, and the subjects that are shown because of it
WATCHED: dict[str, tuple[list[str], set[str]]] = {
    "nats sub 'shoal.event.>'": (["shoal.ns.foo.vm.stop web2"], {"shoal.event.foo.vm.paused.web2"}),
    "nats sub 'shoal.event.foo.vm.>'": (["shoal.ns.foo.vm.start web2"], {"shoal.event.foo.vm.started.web2"}),
    "nats sub 'shoal.event.*.vm.failed.*'": (
        [f"shoal.ns.foo.vm.launch {BROKEN}", "shoal.ns.foo.vm.start broken"],
        {"shoal.event.foo.vm.failed.broken"},
    ),
    "nats sub 'shoal.event.-.host.>' --raw": (
        ["shoal.cluster.host.drain mm3", "shoal.cluster.host.resume mm3"],
        {"shoal.event.-.host.draining.mm3", "shoal.event.-.host.resumed.mm3"},
    ),
    "nats sub 'shoal.event.foo.vm.quit.web1' --count 1": (
        ["shoal.ns.foo.vm.kill web1"],
        {"shoal.event.foo.vm.quit.web1"},
    ),
    "nats sub 'shoal.event.foo.>' --all": (
        ["shoal.ns.foo.vm.stop web3"],
        {
            "shoal.event.foo.namespace.created.foo",
            "shoal.event.foo.bridge.created.lan",
            "shoal.event.foo.vm.quit.web1",
            "shoal.event.foo.vm.paused.web3",
        },
    ),
    "nats sub 'shoal.event.foo.>' --since 1h": (
        ["shoal.ns.foo.vm.start web3"],
        {"shoal.event.foo.namespace.created.foo", "shoal.event.foo.vm.started.web3"},
    ),
    "nats sub 'shoal.event.foo.vm.*.web1' --last": ([], {"shoal.event.foo.vm.quit.web1"}),
    "nats sub 'shoal.event.foo.vm.>' --last-per-subject": (
        [],
        {
            "shoal.event.foo.vm.quit.web1",
            "shoal.event.foo.vm.launched.web1",
            "shoal.event.foo.vm.failed.broken",
        },
    ),
    "nats sub 'shoal.event.>' --start-sequence 5": (
        ["shoal.ns.foo.vm.stop web3"],
        {"shoal.event.demo.namespace.removed.demo", "shoal.event.foo.vm.paused.web3"},
    ),
    "nats sub --stream SHOAL_EVENTS --start-sequence 5": (
        ["shoal.ns.foo.vm.start web3"],
        {"shoal.event.demo.namespace.removed.demo", "shoal.event.foo.vm.started.web3"},
    ),
    "nats sub 'shoal.heartbeat.>'": (
        [],
        {f"shoal.heartbeat.{host}" for host in ("head", "mm1", "mm2", "mm3")},
    ),
}


def test_every_command_of_the_page_is_run() -> None:
    """The page and the lists above have the same commands."""
    assert {command.line for command in PAGE} == {*ASKED, *WATCHED}
    assert "    export NATS_URL=" in (DOCS / "nats.md").read_text()


@pytest.mark.timeout(600)
async def test_the_page_from_top_to_bottom() -> None:
    """Each command does what the page says, in its order; what the page shows is what the tool shows."""
    async with cluster("mm[1-3]") as running:
        client = await nats.connect(running.url)
        try:
            tool = StockTool(client)
            for command in PAGE:
                print(command.line)
                if command.line in WATCHED:
                    shown = await _watched(tool, command.line)
                else:
                    shown = await tool.run(command.line)
                    assert ASKED[command.line](shown), [each.body[:2000] for each in shown]
                if command.output:
                    assert _masked(_rendered(command.line, shown[-1])) == _masked(command.output)
                if command.line.startswith("nats micro"):
                    _check_micro(command.line.split()[2], shown)
            await _check_events(tool)
        finally:
            await client.close()


async def _watched(tool: StockTool, line: str) -> list[Shown]:
    """Subscribe, do what is to be seen, and return what was shown until all of it was."""
    asked, wanted = WATCHED[line]
    first = int(found[1]) if (found := re.search(r"--start-sequence (\d+)", line)) else 0
    shown: list[Shown] = []
    async with tool.watch(line) as queue:
        for each in asked:
            (answer,) = await tool.run(f"nats req {each} --timeout 30s")
            assert "Nats-Service-Error" not in answer.headers, answer
        async with asyncio.timeout(PATIENCE_S):
            while wanted - {each.subject for each in shown}:
                shown.append(await queue.get())
    if first:
        assert [each.sequence for each in shown] == list(range(first, first + len(shown)))
    if "--last " in f"{line} ":
        assert len(shown) == 1
    return shown


def _rendered(line: str, shown: Shown) -> str:
    """What the tool prints of a message."""
    body = shown.body.decode().strip()
    if "--raw" in line:
        return body
    headers = [f"{key}: {value}" for key, value in shown.headers.items()]
    first = (
        [f'[#1] Received on "{shown.subject}" with reply "_INBOX.…"'] if line.startswith("nats sub") else []
    )
    return "\n".join([*first, *headers, "", body])


def _masked(text_: str) -> str:
    """Without what is another each time: ids, moments, and the blanks of an empty line."""
    text_ = re.sub(r"[0-9a-f]{24}", "<instance>", text_)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<moment>", text_)


def _check_micro(action: str, shown: list[Shown]) -> None:
    for each in shown:
        kind = each.json["type"].split(".")[-1].removesuffix("_response")
        schema = {"ping": micro_schemas.PING, "info": micro_schemas.INFO, "stats": micro_schemas.STATS}[kind]
        jsonschema.Draft202012Validator(schema).validate(each.json)
    assert jsonschema.Draft202012Validator(MICRO[action]).is_valid(shown[0].json)


async def _check_events(tool: StockTool) -> None:
    """Every event of the stream fits the published schema, and has its id in its header and in its body."""
    (info,) = await tool.run("nats stream info SHOAL_EVENTS")
    last: int = info.json["state"]["last_seq"]
    shown: list[Shown] = []
    async with (
        tool.watch("nats sub --stream SHOAL_EVENTS --start-sequence 1") as queue,
        asyncio.timeout(PATIENCE_S),
    ):
        while len(shown) < last:
            shown.append(await queue.get())
    for each in shown:
        EVENT_SCHEMA.validate(each.json)
        assert each.headers["Nats-Msg-Id"] == each.json["id"]
    assert len({each.json["id"] for each in shown}) == len(shown)
    assert len({each.json["event"] for each in shown}) >= 10


@pytest.mark.parametrize(("kind", "schema"), [("ping", micro_schemas.PING), ("stats", micro_schemas.STATS)])
def test_the_schemas_of_micro_services_refuse(kind: str, schema: dict[str, Any]) -> None:
    """An answer without its version, with a version that is none, or of another type does not fit."""
    good = {
        "type": f"io.nats.micro.v1.{kind}_response",
        "name": "shoal",
        "id": "1",
        "version": "0.1.0",
        "started": "2026-11-22T14:04:28.123Z",
        "endpoints": [],
    }
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(good)
    for wrong in (
        {**good, "version": "1"},
        {**good, "type": "io.nats.micro.v1.info_response"},
        {**good, "name": "a b"},
    ):
        assert not validator.is_valid(wrong)
    assert not validator.is_valid({key: value for key, value in good.items() if key != "version"})
