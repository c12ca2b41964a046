"""Errors name what they are about: a program goes on with `names`, not with the text."""

from __future__ import annotations

import json

import shoal
from shoal import subjects
from shoal.bus.connection import connect as connect_bus
from shoal.testing import cluster

#: noun, verb, what follows them on a line, and what the error is about
REFUSED = (
    ("vlans", "add", "lan 101", ["lan"]),
    ("vlans", "add", "other 100", ["other"]),
    ("vlans", "clear", "lan", ["lan"]),
    ("ns", "bridge", "br", ["br"]),
    ("ns", "del-bridge", "nobody", ["nobody"]),
    ("ns", "del-hosts", "mm1", ["mm1"]),
    ("ns", "add-hosts", "mm9", ["mm9"]),
    ("tap", "create", "lan name t0", ["t0"]),
    ("tap", "delete", "nobody", ["nobody"]),
    ("qos", "add", "nobody 0 rate 1 mbit", ["nobody"]),
    ("qos", "add", "a 7 rate 1 mbit", ["a"]),
    ("vm", "net-connect", "a 7 lan", ["a"]),
    ("vm", "cdrom-eject", "nobody", ["nobody"]),
    ("vm", "start", "nobody", ["nobody"]),
    ("capture", "vm", "a 7 x.pcap", ["a"]),
    ("capture", "bridge", "nobody x.pcap", ["nobody"]),
    ("capture", "delete-vm", "a", ["a"]),
    ("capture", "delete-bridge", "nobody", ["nobody"]),
    ("file", "delete", "nothing", ["nothing"]),
    ("file", "get", "nothing", ["nothing"]),
)


async def test_errors_name_what_they_are_about():
    """Of each kind of object: VM, host, VLAN, bridge, tap, file."""
    async with (
        cluster("mm1") as running,
        await connect_bus(running.url, name="nats") as bus,
        shoal.connect(running.url) as client,
    ):
        ns = client.namespace("red")
        await ns.create()
        for line in (
            "ns bridge br",
            "vlans add lan 100",
            "tap create lan name t0",
            "vm config net lan",
            "vm launch kvm a",
        ):
            answer = await bus.request(subjects.CONSOLE, f"namespace red {line}".encode(), timeout_s=20)
            assert "Nats-Service-Error" not in answer.headers, answer.body
        told = []
        for noun, verb, words, _ in REFUSED:
            scope = "cluster" if noun == "file" else "ns"
            subject = subjects.command(scope, noun, verb, "red")
            answer = await bus.request(subject, words.encode(), timeout_s=20)
            assert "Nats-Service-Error" in answer.headers, (noun, verb, words, answer.body)
            told.append((noun, verb, words, json.loads(answer.body).get("names", [])))
        assert told == list(REFUSED)
