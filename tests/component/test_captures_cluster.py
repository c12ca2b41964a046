"""Captures of a simulated cluster: they outlive the orchestrator, and end with what they capture."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.component.worker_rig import HOST, Leader, Rig, record, segment
from tests.waiting import eventually

import shoal
from shoal.bus.blobs import NatsBlobs
from shoal.bus.connection import connect
from shoal.client import Client, NamespaceHandle
from shoal.core.ifnames import guest_tap
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.errors import InvalidRequest
from shoal.messages.capture_requests import (
    AskCaptures,
    Capture,
    CollectCaptures,
    ForgetCaptures,
    StartCapture,
)
from shoal.messages.captures import (
    CaptureBridge,
    CaptureRow,
    CaptureVM,
    ClearCaptures,
    ListCaptures,
    SetSnaplen,
)
from shoal.messages.taps import CreateTap, DeleteTap
from shoal.testing.cluster import Cluster, cluster
from shoal_orchestrator.workers import Workers

PCAP = bytes.fromhex("d4c3b2a1")


class Alive:
    """Says of every host that it is alive."""

    def state(self, _host: str) -> str:
        return "alive"


@pytest.fixture
async def running() -> AsyncIterator[Cluster]:
    async with cluster("mm[1-2]") as found:
        yield found


async def filled(client: Client) -> NamespaceHandle:
    ns = client.namespace("red")
    await ns.create()
    await ns.launch("a", VMConfig(networks=(NetSpec(vlan="LAN"),)))
    return ns


async def test_captures_outlive_the_orchestrator(running: Cluster, tmp_path: Path) -> None:
    """After kill -9 of the orchestrator the next one lists what is captured, knows the settings, and ends it."""
    async with shoal.connect(running.url) as client:
        ns = await filled(client)
        await ns.call(SetSnaplen(size=100))
        await ns.call(CaptureVM(vm="a", index=0, file="a.pcap"))
        running.kill("orchestrator")
        running.start("orchestrator")
        await running.ready()
        (row,) = (await ns.call(ListCaptures())).items
        assert (row.vm, row.path, row.state) == ("a", "a.pcap", "running")
        assert (await ns.call(SetSnaplen())).text == "100"
        assert (await ns.call(ClearCaptures())).files == ("a.pcap",)
        await client.files.get("a.pcap", tmp_path / "a.pcap")
        assert (tmp_path / "a.pcap").read_bytes().startswith(PCAP)


async def test_what_ends_by_itself_is_collected(running: Cluster) -> None:
    """A capture of a segment that is gone with its last tap becomes its file without anybody's asking for it."""
    async with shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.call(CreateTap(vlan="LAN", host="mm1"))
        begun = await ns.call(CaptureBridge(bridge="mega_bridge", file="lan.pcap"))
        assert [row.path for row in begun.items] == ["lan-mm1-101.pcap"]
        await ns.call(DeleteTap(tap="all"))

        async def there() -> bool:
            return "lan-mm1-101.pcap" in {row.name for row in await client.files.list()}

        await eventually(there, "the file is there")

        async def forgotten() -> bool:
            return not (await ns.call(ListCaptures())).items

        await eventually(forgotten, "the host has forgotten it")


async def test_a_host_that_cannot_be_asked_is_named(running: Cluster) -> None:
    """When the workers are gone, captures that they had are not said to be none."""
    async with shoal.connect(running.url) as client:
        ns = await filled(client)
        await ns.call(CaptureVM(vm="a", index=0, file="a.pcap"))

        async def listed() -> tuple[CaptureRow, ...]:
            return (await ns.call(ListCaptures())).items

        (row,) = await eventually(listed, "it is listed")
        assert row.path == "a.pcap"
        running.kill("workers")

        async def unseen() -> list[str]:
            failures = (await ns.call(ListCaptures())).failures
            return [failure.message for failure in failures if "cannot be seen" in failure.message]

        (message,) = await eventually(unseen, "the host is named")
        assert message.startswith("captures on mm1 cannot be seen")


async def test_a_kept_capture_is_told_until_it_was_forgotten(nats_url: str) -> None:
    """The report of a VM's end counts its capture; its content can be had again and again until it is forgotten."""
    async with await connect(nats_url, name="leader") as bus:
        leader = Leader(bus)
        await leader.open()
        workers = Workers(bus, Alive())  # type: ignore[arg-type]  # all that is used of an inventory
        blobs = NatsBlobs(bus)
        await blobs.ensure(replicas=1)
        async with Rig().worker(nats_url):
            await leader.put(segment())
            await leader.put(record(revision=1, power="running"))
            await leader.until_vm("i1", "RUNNING", 1)
            capture = Capture(
                id="c1", namespace="foo", bridge="lan", interface=guest_tap("i1", 0), vm="a", name="a.pcap"
            )
            await workers.ask(HOST, StartCapture(capture=capture))
            await leader.put(record(revision=2, power="off"))
            await leader.until_vm("i1", "QUIT", 2)
            told = next(report for report in leader.reports if any(vm.state == "QUIT" for vm in report.vms))
            assert told.ended_captures == 1
            for _ in range(2):
                (ended,) = (await workers.ask(HOST, CollectCaptures())).items
                assert not ended.capture.partial
                parts = [part async for part in blobs.read(ended.content.digest)]
                assert b"".join(parts).startswith(PCAP)
            await workers.ask(HOST, ForgetCaptures(ids=("c1", "unknown")))
            assert (await workers.ask(HOST, AskCaptures())).items == ()
            with pytest.raises(InvalidRequest, match="invalid filter"):
                await workers.ask(HOST, StartCapture(capture=_bad(capture)))


def _bad(capture: Capture) -> Capture:
    return Capture(
        id="c2", namespace="foo", bridge="lan", interface=capture.interface, name="b.pcap", filter="("
    )
