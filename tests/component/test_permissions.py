"""The example of users with permissions: it suffices for a cluster, and who is not trusted can forge nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.errors import PermissionDenied
from shoal.messages.hosts import ListMesh
from shoal.messages.saving import SaveVM
from shoal.testing import nats_server

USERS = Path(__file__).parents[2] / "packaging/nats/users.conf"
NAMES = ("orchestrator", "people", "mm1")
SECRET = "not-a-secret"

#: what neither a worker nor a user may say
NOBODYS = (
    subjects.heartbeat("mm2"),
    subjects.report("mm2"),
    subjects.launch("mm1", "red", "vm"),
    subjects.launch("mm2", "red", "vm"),
    subjects.stored(subjects.launch("mm1", "red", "vm")),
    subjects.tunnel(1),
    subjects.namespace_record("red"),
    subjects.FENCE,
    subjects.LEASE,
    subjects.event("red", "vm", "started", "vm"),
    subjects.host_request("mm1", "screenshot"),
    f"$JS.API.STREAM.DELETE.{subjects.STATE_STREAM}",
    f"$JS.API.STREAM.PURGE.{subjects.STATE_STREAM}",
    f"$JS.API.STREAM.UPDATE.{subjects.STATE_STREAM}",
    f"$JS.API.CONSUMER.CREATE.{subjects.STATE_STREAM}",
)
#: and what only one of them may
FORBIDDEN = {
    "mm1": (*NOBODYS, subjects.CONSOLE, subjects.command("ns", "vm", "kill", "red")),
    "people": (*NOBODYS, subjects.heartbeat("mm1"), subjects.report("mm1"), subjects.CLAIM),
}


@pytest.fixture
def urls(monkeypatch):
    """The URL of each user, on a server with the example's users."""
    for name in NAMES:
        monkeypatch.setenv(f"SHOAL_{name.upper()}_PASSWORD", SECRET)
    with nats_server(config=USERS.read_text()) as url:
        yield {name: url.replace("nats://", f"nats://{name}:{SECRET}@") for name in NAMES}


@contextlib.contextmanager
def daemons(urls, folder):
    """An orchestrator and the worker of mm1, each as its user."""
    with contextlib.ExitStack() as stack:
        for role, program in (
            ("orchestrator", ("shoal_orchestrator", "--head", "mm1")),
            ("mm1", ("shoal_worker", "--simulate", "--hosts", "mm1")),
        ):
            log = stack.enter_context((folder / f"{role}.log").open("wb"))
            argv = [sys.executable, "-m", *program, "--server", urls[role]]
            process = stack.enter_context(subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT))
            stack.callback(process.terminate)
        yield


async def test_the_example_suffices_and_nothing_can_be_forged(urls, tmp_path):
    """A VM runs and is saved into a file; a worker and a user are refused, at once and by name, whatever is not theirs to say."""
    with daemons(urls, tmp_path):
        async with shoal.connect(urls["people"]) as client:

            async def alive():
                return [row.host for row in (await client.call(ListMesh(which="list"))).items] == ["mm1"]

            await eventually(alive, "the host is alive")
            ns = client.namespace("red")
            await ns.create()
            await ns.launch("vm")
            await ns.start()
            await ns.call(SaveVM(vm="vm", file="saved"))
            (tmp_path / "text").write_text("of people")
            await client.files.put(str(tmp_path / "text"))
            async for event in ns.events(since=0):
                if event.noun == "vm" and event.name == "vm":
                    break
            before = await state_of(urls["orchestrator"])
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for name, forbidden in FORBIDDEN.items():
                async with await connect(urls[name], name="forger") as bus:
                    for subject in forbidden:
                        with pytest.raises(PermissionDenied, match="does not allow"):
                            await bus.request(subject, b"{}", timeout_s=20)
            assert loop.time() - begun < 20, "a refusal was waited for"
            assert await state_of(urls["orchestrator"]) >= before
            assert [(row.name, row.state) for row in await ns.vms()] == [("vm", "RUNNING")]
    for role in ("orchestrator", "mm1"):
        assert "does not allow" not in (tmp_path / f"{role}.log").read_text()


async def state_of(url):
    """The names of the streams, and how many messages that of state has."""
    async with await connect(url, name="looker") as bus:
        answer = await bus.request(f"$JS.API.STREAM.INFO.{subjects.STATE_STREAM}", b"", timeout_s=10)
    return json.loads(answer.body)["state"]["messages"]


async def test_a_refusal_that_nobody_waits_for_is_in_the_log(urls, caplog):
    """A heartbeat under another's name, and a subscription to another's launches: one line each, however often."""
    async with await connect(urls["mm1"], name="forger") as bus:
        for _ in range(3):
            await bus.publish(subjects.heartbeat("mm2"), b"")
        await bus.subscribe(subjects.stored("shoal.launch.mm2.>"), lambda _: None)
        await bus.settle()
    said = [record.getMessage() for record in caplog.records if "does not allow" in record.getMessage()]
    assert len(said) == 2
    assert "shoal.heartbeat.mm2" in said[0]
    assert "shoal.stored.launch.mm2.>" in said[1]
