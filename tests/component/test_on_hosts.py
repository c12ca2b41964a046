"""Commands run on hosts over the bus, programs where they are allowed, files that the head offers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.core.vmconfig import VMConfig
from shoal.errors import InvalidRequest, NotFound
from shoal.messages.hosts import AddHosts, RemoveHosts
from shoal.messages.running import RunOnHosts, SendToHosts
from shoal.testing.cluster import Cluster, cluster
from shoal.version import version


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose workers allow programs, and whose head has a directory of files."""
    monkeypatch.setenv("SHOAL_ALLOW_SHELL", "1")
    monkeypatch.setenv("SHOAL_FILES", str(tmp_path))
    async with cluster("mm[1-3]") as found:
        yield found


async def test_hosts_answer_over_the_bus(running: Cluster) -> None:
    """Bare words on the command's own subject are answered in JSON, a program's output by the hosts that printed it."""
    async with await connect(running.url, name="test") as bus, shoal.connect(running.url) as client:
        await client.namespace("red").create()
        subject = subjects.command("ns", "ns", "run", "red")
        answer = await bus.request(subject, b"version", timeout_s=20)
        assert json.loads(answer.body)["items"] == [{"hosts": "mm[1-3]", "text": f"shoal {version()}"}]
        answer = await bus.request(subject, b"shell echo a 'b c'", timeout_s=20)
        assert json.loads(answer.body)["items"] == [{"hosts": "mm[1-3]", "text": "a b c"}]
        answer = await bus.request(subject, b".columns host,vms host", timeout_s=20)
        tables = [item["table"]["rows"] for item in json.loads(answer.body)["items"]]
        assert tables == [[["mm1", 0]], [["mm2", 0]], [["mm3", 0]]]
        answer = await bus.request(subjects.CONSOLE, b"namespace red ns run shell echo hello", timeout_s=20)
        assert answer.body == b"mm[1-3]: hello"


async def test_failures_of_programs_are_folded(running: Cluster) -> None:
    """A program that fails everywhere is one failure that names the hosts; nothing else was answered."""
    async with shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        reply = await ns.call(SendToHosts(hosts="mm[2-3]", command=("shell", "false")))
        assert [failure.message for failure in reply.failures] == [
            "mm[2-3]: `false` ended with exit status 1"
        ]
        assert reply.items == ()
        with pytest.raises(InvalidRequest, match=r"cannot run `vm kill all` using `ns run`"):
            await ns.call(RunOnHosts(command=("vm", "kill", "all")))


async def test_long_answers_come_in_pages(running: Cluster) -> None:
    """More rows than a page holds come in several, each row once, in pieces that name their host."""
    async with shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.call(RemoveHosts(hosts="all"))
        await ns.call(AddHosts(hosts="mm[1-2]"))
        await ns.launch("vm[1-1300]", VMConfig(memory_mib=1))
        seen: list[tuple[str, str]] = []
        request, pages = RunOnHosts(command=(".columns", "name", "vm", "info")), 0
        while True:
            reply = await ns.call(request)
            pages += 1
            for item in reply.items:
                assert item.table is not None
                assert len(item.table.rows) <= 500
                seen += [(item.hosts, str(row[0])) for row in item.table.rows]
            if not reply.next:
                break
            request = RunOnHosts(command=request.command, after=reply.next)
        assert pages > 2
        assert sorted(seen) == sorted({(row.host, row.name) for row in await ns.vms()})
        assert len(seen) == 1300


async def test_the_head_offers_its_files(running: Cluster, tmp_path: Path) -> None:
    """A VM is launched with a file of the head's directory, which is the cluster's then; a missing one is an error."""
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "k").write_bytes(b"kernel")
    async with shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        with pytest.raises(NotFound, match=r"no such file in the cluster; .* head's files directory"):
            await ns.launch("a", VMConfig(kernel="kernels/none"))
        await ns.launch("a", VMConfig(kernel="kernels/k"))
        (row,) = await client.files.list("kernels")
        assert (row.name, row.size) == ("kernels/k", 6)
        (tmp_path / "kernels" / "k").write_bytes(b"another one")
        await ns.launch("b", VMConfig(kernel="file:kernels/k"))
        assert (await client.files.list("kernels")) == [row]
