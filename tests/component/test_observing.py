"""What can be seen of a running cluster: its metrics, its logs, and `shoal top`."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import urllib.request

import pytest
from tests.waiting import eventually

import shoal
from shoal.messages.vms import LaunchVMs, StartVMs
from shoal.testing import cluster
from shoal.testing.cluster import environment
from shoal_orchestrator import measures as orchestrator_measures
from shoal_worker import measures as worker_measures

DAEMONS = {"orchestrator": orchestrator_measures.CATALOGUE, "workers": worker_measures.CATALOGUE}


@pytest.fixture
def measured(monkeypatch):
    """Daemons that are started now answer scrapes, each at a port of its own."""
    monkeypatch.setenv("SHOAL_METRICS", "127.0.0.1:0")


def lines(running, role):
    """A daemon's log."""
    found = []
    for line in running.log(role).splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            found.append({"event": line})
    return found


def scrape(running, role):
    """A daemon's metrics: sample with its labels → value."""
    url = [line["url"] for line in lines(running, role) if line["event"] == "metrics-served"][-1]
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    samples = re.findall(r"^([a-z][^ ]*?(?:\{.*?\})?) ([-+.0-9eInfNa]+)$", text, re.MULTILINE)
    return {sample: float(value) for sample, value in samples}


async def scraped(running, role):
    return await asyncio.to_thread(scrape, running, role)


@pytest.mark.usefixtures("measured")
async def test_one_id_is_in_the_logs_of_all_who_carried_a_request_out():
    """A launch and a start: each line of the orchestrator and of the workers about it bears the request's id."""
    async with cluster("mm[1-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.call(LaunchVMs(names="web[1-20]", id="launch-it"))
        await ns.call(StartVMs(target="web[1-5]", id="start-it"))
        told = [line for line in lines(running, "orchestrator") if line.get("request") == "launch-it"]
        assert [line["event"] for line in told] == [
            "request-begun",
            "plan-saved",
            "plan-published",
            "plan-completed",
            "request-ended",
        ]
        assert told[-1]["outcome"] == "ok"

        async def done(request, count):
            found = [line for line in lines(running, "workers") if line.get("request") == request]
            assert {line["event"] for line in found} <= {"carried-out"}
            return found if sum(line["count"] for line in found) == count else []

        created = await eventually(lambda: done("launch-it", 20), "20 VMs in the workers' log")
        assert {(line["host"], line["done"]) for line in created} == {("mm1", "create"), ("mm2", "create")}
        resumed = await eventually(lambda: done("start-it", 5), "5 VMs in the workers' log")
        assert {line["done"] for line in resumed} == {"resume"}


@pytest.mark.usefixtures("measured")
async def test_metrics_tell_what_is_so():
    """Every metric of both catalogues is there, the counts are those of the cluster, and a stopped process shows."""
    async with cluster("mm[1-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("web[1-20]")
        await ns.start("web[1-5]")
        found = {role: await scraped(running, role) for role in DAEMONS}
        for role, catalogue in DAEMONS.items():
            names = {re.sub(r"_(bucket|sum|count)$", "", sample.partition("{")[0]) for sample in found[role]}
            # what has labels and never happened has no sample yet
            assert {metric.name for metric in catalogue if not metric.labels} <= names
            assert {name for name in names if name.startswith("shoal_")} <= {m.name for m in catalogue}
        leader, workers = found["orchestrator"], found["workers"]
        assert leader["shoal_leading"] == 1
        assert leader["shoal_epoch"] == 1
        assert leader['shoal_hosts{state="alive"}'] == 3
        assert leader['shoal_vms{state="RUNNING"}'] == 5
        assert leader['shoal_vms{state="BUILDING"}'] == 15
        assert leader['shoal_requests_total{noun="vm",outcome="ok",verb="launch"}'] == 1
        assert leader["shoal_batch_records_sum"] >= 25
        assert workers["shoal_worker_hosts"] == workers["shoal_worker_claimed"] == 3
        assert workers['shoal_worker_vms{state="RUNNING"}'] == 5
        assert workers['shoal_worker_actions_total{action="create",outcome="ok"}'] == 20
        os.kill(running.pid("workers"), signal.SIGSTOP)
        await asyncio.sleep(1.5)  # this is how long it stands still
        os.kill(running.pid("workers"), signal.SIGCONT)

        async def blocked():
            said = [line for line in lines(running, "workers") if line["event"] == "loop-blocked"]
            now = await scraped(running, "workers")
            return (
                now["shoal_event_loop_blocked_total"] == len(said) > workers["shoal_event_loop_blocked_total"]
            )

        await eventually(blocked, "the loop was blocked, in the metrics as in the log")


@pytest.mark.parametrize(
    "program",
    [("shoal_orchestrator",), ("shoal_worker", "--simulate", "--hosts", "mm1")],
    ids=["orchestrator", "worker"],
)
async def test_a_port_in_use_is_said(program):
    """A daemon that cannot serve its metrics ends at once, and says where, why, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *program, "--metrics", address, "--server", "nats://127.0.0.1:1"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert f"cannot serve metrics on {address}: Address already in use; give --metrics" in said.decode()


async def test_top_goes_on_when_the_orchestrator_is_killed_and_started_again():
    """Without a terminal `shoal top` prints lines of changes and events, says when nobody answers, and goes on."""
    async with cluster("mm[1-2]") as running, shoal.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shoal.cli.main", "top", "--interval", "0.2"),
            stdout=asyncio.subprocess.PIPE,
            env=environment(running.url),
        )
        said = []

        async def says(pattern):
            while True:
                assert process.stdout is not None
                said.append((await process.stdout.readline()).decode())
                assert said[-1], said
                if re.search(pattern, said[-1]):
                    return

        try:
            async with asyncio.timeout(120):
                await says(r"hosts 3 alive; VMs 0: none")
                await ns.launch("web[1-4]")
                await ns.start("web1")
                await says(r"hosts 3 alive; VMs 4: 1 RUNNING, 3 BUILDING")
                assert any("red: vm web1 started on mm" in line for line in said)
                running.kill("orchestrator")
                await says(r"no orchestrator answers")
                running.start("orchestrator")
                await says(r"hosts .*alive.*; VMs 4: 1 RUNNING, 3 BUILDING")
            process.send_signal(signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
