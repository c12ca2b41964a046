"""The programs under examples/, run on a simulated cluster: undisturbed, and while its daemons are killed."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import importlib.util
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import eventually

import shoal
from shoal.client.calls import Caller
from shoal.messages.events import VMFailed
from shoal.testing import Cluster, cluster

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
#: at which of an example's requests, once it is under way, which daemon is killed and started again
STRIKES = {2: "orchestrator", 4: "nats-server", 7: "orchestrator"}
IN_FLIGHT_S = 0.02

Main = Callable[[list[str]], Awaitable[None]]
Said = Callable[[], str]
Run = Callable[[Path, str, Said], Awaitable[object]]


def example(name: str) -> Main:
    """An example's main function."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Main = module.main
    return main


class Struck:
    """Kills daemons with -9 while requests are under way, and starts them again."""

    def __init__(self, running: Cluster) -> None:
        self.running = running
        self.requests = 0
        self.killed: list[str] = []
        self.active = False
        #: cleared while a strike is due
        self.done = asyncio.Event()
        self.done.set()

    def strike(self, role: str) -> None:
        self.running.kill(role)
        self.running.start(role)
        self.killed.append(role)
        self.done.set()

    async def count(self) -> None:
        """A request is to be sent; it waits for the strike that an earlier one has caused."""
        await self.done.wait()
        self.requests += 1
        role = STRIKES.get(self.requests)
        if self.active and role:
            self.done.clear()
            asyncio.get_running_loop().call_later(IN_FLIGHT_S, self.strike, role)


@contextlib.asynccontextmanager
async def struck_cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Struck]:
    """A cluster whose daemons are killed once `active` is set, as requests are sent."""
    send = Caller._once
    async with cluster("mm[1-3]") as running:
        monkeypatch.setenv("NATS_URL", running.url)
        struck = Struck(running)

        async def once(self: Caller, *args: Any) -> Any:
            await struck.count()
            return await send(self, *args)

        monkeypatch.setattr(Caller, "_once", once)
        yield struck


async def restarted(_: Path, name: str, said: Said) -> object:
    """Two VMs run; one that fails again and again is started three times, and then left alone."""
    async with shoal.connect(patience_s=60) as client:
        ns = client.namespace(name)
        await ns.create()
        await ns.launch("good[1-2]")
        await ns.launch("bad", shoal.VMConfig(append=("simulate.fail_after=0.1",)))
        watching = asyncio.ensure_future(example("restart_failed")([name, "3"]))

        async def given_up() -> bool:
            return watching.done() or "gave up on bad" in said()

        await ns.start()
        await eventually(given_up, "it was started three times", 200)
        await ns.wait("good[1-2]", "RUNNING", timeout_s=60)
        instances: set[tuple[str, str]] = set()
        async with ns.events(since=0) as events, asyncio.timeout(60):
            while len(instances) < 4:
                event = await anext(events)
                if isinstance(event, VMFailed):
                    instances.add((event.name, event.instance))
        watching.cancel()
        [ended] = await asyncio.gather(watching, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError), ended
        started = re.findall(r"starting bad again \((\d) of 3\)", said())
        return started, sorted((vm.name, vm.state) for vm in await ns.vms())


async def filled(_: Path, name: str, __: Said) -> object:
    """Half of 48 CPUs are 12 VMs of two; a tenth is two VMs."""
    await example("fill")([name, "0.5", "0.1", "0.2"])
    async with shoal.connect(patience_s=60) as client:
        vms = await client.namespace(name).vms()
        await client.namespace(name).kill("all")
        return sorted((vm.name, vm.state) for vm in vms)


async def built(folder: Path, name: str, _: Said) -> object:
    """The file's topology: who is on which link, whatever the numbers."""
    plan = folder / f"{name}.yaml"
    plan.write_text((FOLDER / "topology.yaml").read_text().replace("campus", name))
    await example("topology")([str(plan)])
    await example("topology")([str(plan)])
    async with shoal.connect(patience_s=60) as client:
        vms = await client.namespace(name).vms()
        assert len({port.vlan for vm in vms for port in vm.ports}) == 3
        return sorted((vm.name, vm.state, [p.alias for p in vm.ports], dict(vm.config.tags)) for vm in vms)


async def exported(folder: Path, name: str, _: Said) -> object:
    """Every host and every VM has its row."""
    async with shoal.connect(patience_s=60) as client:
        ns = client.namespace(name)
        await ns.create()
        await ns.launch("vm[1-30]")
    files = [folder / f"{name}-hosts.csv", folder / f"{name}-vms.csv"]
    for _again in range(4):
        await example("export_csv")([str(file) for file in files])
    with files[0].open() as hosts, files[1].open() as vms:
        ours = [row for row in csv.DictReader(vms) if row["namespace"] == name]
        return (
            sorted((row["host"], row["cpus"]) for row in csv.DictReader(hosts)),
            sorted((row["vm"], row["state"], row["memory_mib"]) for row in ours),
        )


async def tormented(_: Path, name: str, __: Said) -> object:
    """All VMs run again in the end; the seed says whom it hit and how."""
    async with shoal.connect(patience_s=60) as client:
        ns = client.namespace(name)
        await ns.create()
        await ns.launch("vm[1-5]")
        await ns.start()
        before = {vm.name: vm.instance for vm in await ns.vms()}
        await example("chaos")([name, "7", "4"])
        after = await ns.vms()
        killed = sorted(vm.name for vm in after if vm.instance != before[vm.name])
        return killed, sorted((vm.name, vm.state) for vm in after)


RUNS: dict[str, Run] = {
    "restart_failed": restarted,
    "fill": filled,
    "topology": built,
    "export_csv": exported,
    "chaos": tormented,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", RUNS)
async def test_an_example_ends_alike_whatever_is_killed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An example does its work, and comes to the same when orchestrator and nats-server are killed and started again
    while its requests are under way.
    """
    lines: list[str] = []

    def said() -> str:
        lines.append(capsys.readouterr().out)
        return "".join(lines)

    async with struck_cluster(monkeypatch) as struck:
        calm = await RUNS[name](tmp_path, "calm", said)
        undisturbed = said()
        lines.clear()
        struck.requests, struck.active = 0, True
        again = await RUNS[name](tmp_path, "struck", said)
        assert again == calm, f"undisturbed:\n{undisturbed}\ndisturbed:\n{said()}"
        await asyncio.wait_for(struck.done.wait(), 60)
        assert struck.killed == list(STRIKES.values())


def test_every_example_is_run_and_is_short() -> None:
    """Each example has its test, and under 60 lines."""
    assert [file.stem for file in EXAMPLES] == sorted(RUNS)
    for file in EXAMPLES:
        assert len(file.read_text().splitlines()) < 60, file.name
