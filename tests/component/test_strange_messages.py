"""What strangers and other versions send: it is set aside or refused by name, and everything goes on."""

from __future__ import annotations

import asyncio
import json
import random

import msgpack
import pytest
from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus.connection import connect as connect_bus
from shoal.bus.protocol import Message
from shoal.errors import InvalidRequest, Unavailable
from shoal.messages.vms import KillVMs
from shoal.testing import cluster

#: what nobody who follows the protocol would send
STRANGE = (
    b"",
    b"\xc1",
    b"\x00\xff\xfe",
    b"[1, 2]",
    b'{"host": 7}',
    b'{"kind": "of", "somebody": "else"}',
    b'{"a":' * 10_000,
    b"\x81\xa1a\xdb\xff\xff\xff\xff",
    b"\x91" * 60_000,
    msgpack.packb({"host": "mm1", "session": "forged", "number": 1 << 60, "vms": [None]}),
    random.Random(6).randbytes(3000),
)


async def test_strange_messages_end_no_subscription():
    """Random bytes, someone else's JSON and bombs on every subject: the next proper request is served as ever."""
    async with (
        cluster("mm[1-2]") as running,
        await connect_bus(running.url, name="stranger") as bus,
        shoal.connect(running.url) as client,
    ):
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        for body in STRANGE:
            for subject in (
                subjects.heartbeat("mm1"),
                subjects.report("mm1"),
                subjects.CLAIM,
                subjects.CONSOLE,
                subjects.host_request("mm1", "inventory"),
                subjects.host_request("mm1", "screenshot"),
                subjects.command("namespace", "vm", "start", "red"),
                subjects.stored(subjects.launch("mm1", "red", "b")),
            ):
                await bus.publish(subject, body)
        await bus.settle()
        assert (await ns.start("a")).count == 1
        await ns.launch("b")
        states = {row.name: row.state for row in await ns.vms()}
        assert states == {"a": "RUNNING", "b": "BUILDING"}
        answer = await bus.request(subjects.CONSOLE, b"mesh list", timeout_s=20)
        assert b"mm1" in answer.body
        assert b"mm2" in answer.body


async def test_answers_go_to_inboxes_only():
    """Whoever wants an answer under a subject of the cluster could speak there: nothing is done, nothing is said.

    An inbox may have a prefix of its own, as users with permissions have; without a reply subject nobody is told.
    """
    async with (
        cluster("mm1") as running,
        await connect_bus(running.url, name="stranger") as bus,
        shoal.connect(running.url) as client,
    ):
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        heard: asyncio.Queue[Message] = asyncio.Queue()
        for elsewhere in ("shoal.report.mm9", "shoal.event.made-up.>", "_INBOX_alice.>"):
            await bus.subscribe(elsewhere, heard.put_nowait)
        start = subjects.command("namespace", "vm", "start", "red")
        for subject, body in (
            (start, b"a"),
            (start, b"nobody"),
            (subjects.CONSOLE, b"version"),
            (subjects.CLAIM, b"?"),
            (subjects.host_request("mm1", "inventory"), b""),
            (subjects.host_request("mm1", "screenshot"), b""),
        ):
            await bus.publish(subject, body, reply="shoal.report.mm9")
            await bus.publish(subject, body, reply="shoal.event.made-up.vm.started.a")
        await bus.settle()
        assert (await ns.vm("a").row()).state == "BUILDING"
        await bus.publish(start, b"a", reply="_INBOX_alice.1")
        answer = await asyncio.wait_for(heard.get(), 20)
        assert answer.subject == "_INBOX_alice.1"
        assert (await ns.vm("a").row()).state == "RUNNING"
        await bus.publish(subjects.command("namespace", "vm", "stop", "red"), b"a")
        await eventually(lambda: stopped(ns.vm("a")), "a message without a reply subject is obeyed")
        assert heard.empty()


async def stopped(vm: shoal.VMHandle) -> bool:
    return (await vm.row()).state == "PAUSED"


async def test_a_command_of_another_version_is_refused_by_name():
    """Fields that are not known are ignored; what does not fit is named; commands that are not there are said."""
    async with cluster("mm1") as running, await connect_bus(running.url, name="newer") as bus:
        start = subjects.command("namespace", "vm", "start", "minimega")
        for body in (json.dumps({"target": ["a"]}).encode(), msgpack.packb({"target": 7})):
            answer = await bus.request(start, body, timeout_s=20)
            assert answer.headers["Nats-Service-Error-Code"] == str(InvalidRequest.code)
            assert "target" in answer.headers["Nats-Service-Error"]
        newer = json.dumps({"target": "nobody", "since": "version 9"}).encode()
        answer = await bus.request(start, newer, timeout_s=20)
        assert "vm not found: nobody" in answer.headers["Nats-Service-Error"]
        with pytest.raises(Unavailable, match="nobody answers"):
            await bus.request("shoal.ns.minimega.vm.teleport", b"", timeout_s=20)


async def test_a_request_over_the_limit_is_refused_before_it_is_sent():
    """A command of more than 64 KiB is an error of the caller's, and nothing goes out."""
    async with cluster("mm1") as running, shoal.connect(running.url) as client:
        with pytest.raises(InvalidRequest, match="at most 65536"):
            await client.call(KillVMs(target="a" * 70_000))


async def test_a_caller_that_goes_away_does_not_take_its_command_with_it():
    """A launch whose client was cancelled is carried out, and requests after it are answered."""
    async with cluster("mm1") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        launching = asyncio.create_task(ns.launch("a[1-50]"))
        await eventually(ns.vms, "the launch was accepted")
        launching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launching

        async def all_there() -> bool:
            return [row.state for row in await ns.vms()] == ["BUILDING"] * 50

        await eventually(all_there, "all VMs were launched")
