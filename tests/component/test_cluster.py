"""The whole system with simulated hosts: real nats-server, real orchestrator and worker processes."""

import asyncio
import contextlib
import json

import pytest
from tests.waiting import eventually

import shoal
from shoal.bus.connection import connect as connect_bus
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.errors import Conflict, InvalidRequest, NotFound, Refused, Unplaceable
from shoal.messages.config import ConfigureVM
from shoal.messages.events import VMLaunched, VMQuit, VMStarted
from shoal.messages.hosts import ListNamespaceHosts
from shoal.messages.namespaces import CreateNamespace
from shoal.messages.schedule import DryRun, DumpPlan, MovePlanned, Schedule, ScheduleStatus, SetQueueing
from shoal.messages.taps import CreateTap, DeleteTap, ListTaps
from shoal.messages.vlans import AddBridge, ListVLANs
from shoal.testing import cluster

ON_FOO = VMConfig(networks=(NetSpec(vlan="LAN", bridge="foo"),))


@contextlib.asynccontextmanager
async def namespace_on(hosts="mm[0-3]", name="red"):
    """A cluster, a client and a namespace in it."""
    async with cluster(hosts) as running, shoal.connect(running.url) as client:
        ns = client.namespace(name)
        await ns.create()
        yield running, client, ns


def placed(rows):
    return {row.name: row.host for row in rows}


def states(rows):
    return {row.name: row.state for row in rows}


async def test_vms_are_spread_launched_started_stopped_killed_and_forgotten():
    """A VM goes through BUILDING, RUNNING, PAUSED, QUIT, and is gone after a flush, on the host it was placed on."""
    async with namespace_on() as (_, __, ns):
        await ns.launch("vm[0-3]")
        assert placed(await ns.vms()) == {"vm0": "mm0", "vm1": "mm1", "vm2": "mm2", "vm3": "mm3"}
        assert set(states(await ns.vms()).values()) == {"BUILDING"}
        assert (await ns.start()).count == 4
        assert set(states(await ns.vms()).values()) == {"RUNNING"}
        await ns.stop("vm1")
        await ns.kill("vm2")
        assert states(await ns.vms()) == {"vm0": "RUNNING", "vm1": "PAUSED", "vm2": "QUIT", "vm3": "RUNNING"}
        assert (await ns.start("all")).vms == "vm1"
        await ns.flush()
        assert sorted(states(await ns.vms())) == ["vm0", "vm1", "vm3"]
        await ns.launch("vm2")
        assert len(await ns.vms()) == 4


async def test_queue_plan_edit_and_apply_survive_an_orchestrator_killed_between_commands():
    """Queue, edited plan, configuration, VLANs and bridges are there again after kill -9, and each VM once."""
    async with namespace_on() as (running, client, ns):
        await ns.call(AddBridge(bridge="foo"))
        await ns.call(ConfigureVM(field="networks", values=("foo,LAN",)))
        await ns.call(SetQueueing(enabled=True))
        assert (await ns.launch("vm[0-3]")).queued == 4
        await ns.call(DryRun())
        await ns.call(MovePlanned(vms="vm[1-2]", host="mm0"))
        before = await ns.call(DumpPlan())
        running.kill("orchestrator")
        running.start("orchestrator")
        await running.ready()
        assert await ns.call(DumpPlan()) == before
        assert {item.alias: item.vlan for item in (await ns.call(ListVLANs())).items} == {"LAN": 101}
        await ns.call(Schedule())
        rows = await ns.vms()
        assert placed(rows) == {"vm0": "mm0", "vm1": "mm0", "vm2": "mm0", "vm3": "mm3"}
        assert {(port.vlan, port.vni) for row in rows for port in row.ports} == {(101, 4096 + 101)}
        running.kill("orchestrator")
        running.start("orchestrator")
        await running.ready()
        again = await ns.vms()
        assert [(r.name, r.instance, r.host) for r in again] == [(r.name, r.instance, r.host) for r in rows]
        assert [run.state for run in (await ns.call(ScheduleStatus())).items] == ["completed"]
        assert await client.call(CreateNamespace(name="red")) is not None


async def test_launch_interrupted_by_a_killed_orchestrator_is_finished_once():
    """An orchestrator killed in the middle of a launch: its successor launches the rest, each VM exactly once.

    Whoever asked for it does not notice: the request is sent again, and answered by the plan that was saved.
    """
    async with namespace_on() as (running, _, ns):
        launching = asyncio.create_task(ns.launch("vm[0-1999]"))
        while not (found := await ns.vms()):
            await asyncio.sleep(0)
        running.kill("orchestrator")
        seen = len(found)
        running.start("orchestrator")
        await running.ready()
        launched = await launching
        assert launched.count == 2000
        await ns.wait("vm[0-1999]", "BUILDING", timeout_s=60)
        rows = await ns.vms()
        assert seen >= 1
        assert len(rows) == len({row.name for row in rows}) == len({row.instance for row in rows}) == 2000
        assert len({row.id for row in rows}) == 2000


async def test_refusals_leave_nothing_behind():
    """What cannot be launched is an error of the right class, and neither queue nor VMs have changed."""
    async with namespace_on() as (_, __, ns):
        await ns.launch("a")
        with pytest.raises(Conflict, match="vm already exists with name `a`"):
            await ns.launch("a,b")
        with pytest.raises(Unplaceable, match="coschedule requirement"):
            await ns.launch("s[1-9]", VMConfig(coschedule=0))
        with pytest.raises(InvalidRequest, match=r"must be > 0"):
            await ns.launch("0")
        with pytest.raises(NotFound, match="vm not found: nobody"):
            await ns.start("nobody")
        with pytest.raises(InvalidRequest, match="twice"):
            await ns.launch("x[1-2],x1")
        with pytest.raises(Refused, match="VM scheduled on unknown host: `nowhere`"):
            await ns.launch("x", VMConfig(schedule="nowhere"))
        assert sorted(states(await ns.vms())) == ["a"]
        assert (await ns.call(SetQueueing())).text == "false"
        with pytest.raises(Refused, match="at least one queued VM"):
            await ns.schedule()


async def test_private_bridges_of_two_namespaces_never_share_a_vni():
    """The same bridge, alias and number in two namespaces are two VNIs; keys come back when one is cleared."""
    async with namespace_on() as (_, client, red):
        blue = client.namespace("blue")
        await blue.create()
        for ns in (red, blue):
            await ns.call(AddBridge(bridge="foo"))
            await ns.launch("vm[0-3]", ON_FOO)
        vnis = {ns.name: {port.vni for row in await ns.vms() for port in row.ports} for ns in (red, blue)}
        # the aliases of both come from the shared pool, so their numbers differ as well as their keys
        assert {name: {divmod(vni, 4096)[0] for vni in of} for name, of in vnis.items()} == {
            "red": {1},
            "blue": {2},
        }
        await red.clear()
        assert "red" not in {row.namespace for row in await client.namespaces()}
        assert len(await blue.vms()) == 4
        green = client.namespace("green")
        await green.create()
        await green.call(AddBridge(bridge="foo"))
        await green.launch("vm[0-3]", ON_FOO)
        assert {divmod(port.vni, 4096)[0] for row in await green.vms() for port in row.ports} == {1}


async def test_taps_get_names_and_go():
    """A tap is made on the head, named mega_tap0, listed, refused when it is not ours, and deleted."""
    async with namespace_on() as (_, client, ns):
        assert (await ns.call(CreateTap(vlan="LAN", ip="10.0.0.254/24"))).text == "mega_tap0"
        assert [(tap.tap, tap.vlan, tap.host) for tap in (await ns.call(ListTaps())).items] == [
            ("mega_tap0", 101, "head")
        ]
        with pytest.raises(NotFound, match="not a host tap in active namespace"):
            await client.namespace("minimega").call(DeleteTap(tap="mega_tap0"))
        with pytest.raises(InvalidRequest, match="expected ADDRESS/PREFIX"):
            await ns.call(CreateTap(vlan="LAN", ip="10.0.0"))
        alone = await ns.call(CreateTap(vlan="LAN", ip="10.0.0.253"))
        assert alone.text == "mega_tap1"
        assert "write 10.0.0.253/24" in alone.notes[0]
        assert [tap.ip for tap in (await ns.call(ListTaps())).items] == ["10.0.0.254/24", "10.0.0.253/32"]
        await ns.call(DeleteTap(tap="all"))
        assert (await ns.call(ListTaps())).items == ()


async def test_events_tell_of_each_vm_in_order():
    """Whoever listens hears of a VM's launch, start and end, in this order."""
    async with namespace_on() as (_, __, ns):
        heard = []
        listening = asyncio.Event()

        async def listen():
            async with contextlib.aclosing(ns.events()) as events:
                async for event in events:
                    listening.set()
                    if event.noun == "vm" and event.name == "vm0":
                        heard.append(type(event))
                        if type(event) is VMQuit:
                            return

        async def in_force():
            """Whether the subscription has brought anything: there is always something new to hear of."""
            await ns.launch("1")
            return listening.is_set()

        listener = asyncio.create_task(listen())
        await eventually(in_force, "an event is heard")
        await ns.launch("vm0")
        await ns.start("vm0")
        await ns.kill("vm0")
        await asyncio.wait_for(listener, 10)
        assert heard == [VMLaunched, VMStarted, VMQuit]


async def test_bare_connection_can_do_it_all():
    """With no library of ours: the console, a bare argument, JSON bodies, events, and errors in the headers."""
    async with cluster("mm[1-2]") as running, await connect_bus(running.url, name="bare") as bus:
        seen: asyncio.Queue = asyncio.Queue()
        await bus.subscribe("shoal.event.>", seen.put_nowait)
        await bus.settle()

        async def ask(subject, body):
            return await bus.request(subject, body, timeout_s=20)

        assert (await ask("shoal.console", b"namespace foo vm launch kvm web[1-3]")).body == b""
        answer = await ask("shoal.ns.foo.vm.start", b"web[1-3]")
        assert json.loads(answer.body) == {"vms": "web[1-3]", "count": 3}
        listed = json.loads((await ask("shoal.ns.foo.vm.info", b"")).body)
        assert [(vm["name"], vm["state"]) for vm in listed["items"]] == [
            (f"web{i}", "RUNNING") for i in (1, 2, 3)
        ]
        text = (await ask("shoal.console", b"namespace foo .columns name,state,host vm info")).body.decode()
        assert text.splitlines()[0] == "name | state   | host"
        missing = await ask("shoal.ns.foo.vm.kill", b'{"target": "nobody"}')
        assert missing.headers["Nats-Service-Error-Code"] == "404"
        assert json.loads(missing.body)["kind"] == "NotFound"
        for body, code in ((b"[1]", "400"), (b'{"target": 7}', "400"), (b"\x81", "400"), (b"{" * 9, "400")):
            assert (await ask("shoal.ns.foo.vm.kill", body)).headers["Nats-Service-Error-Code"] == code
        large = await ask("shoal.ns.foo.vm.kill", b"x" * 70_000)
        assert "at most 65536" in large.headers["Nats-Service-Error"]
        info = json.loads((await ask("$SRV.INFO.shoal", b"")).body)
        assert info["description"]
        subjects = [endpoint["subject"] for endpoint in info["endpoints"]]
        assert "shoal.ns.*.vm.launch" in subjects
        found = set()
        while "shoal.event.foo.vm.started.web3" not in found:
            found.add((await asyncio.wait_for(seen.get(), 10)).subject)
        assert (
            "shoal.event.-.namespace.created.foo" in found or "shoal.event.foo.namespace.created.foo" in found
        )


async def test_orchestrator_restarted_by_its_operator_goes_on():
    """One that is ended and started again leads at once, with everything as it was."""
    async with namespace_on("mm[1-2]") as (running, client, ns):
        await ns.launch("a")
        assert await running.end("orchestrator") == 0
        running.start("orchestrator")
        await running.ready()
        assert placed(await ns.vms()) == {"a": "mm1"}
        assert (await client.call(ListNamespaceHosts(), namespace="red")).hosts == "mm[1-2]"


async def test_workers_restarted_adopt_nothing_that_is_not_theirs():
    """Simulated workers that start anew (a new incarnation) run nothing; their old VMs are not shown as running."""
    async with namespace_on("mm[1-2]") as (running, _, ns):
        await ns.launch("a")
        await ns.start("a")
        running.kill("workers")
        running.start("workers")
        await running.ready()
        rows = await ns.wait("a", "LOST", timeout_s=20)
        assert "set up anew" in rows[0].reason
        with pytest.raises(
            Conflict, match=r"a is lost: host mm1 was set up anew.*`vm kill a` and `vm flush a`"
        ):
            await ns.start("a")
        await ns.kill("a")
        await ns.flush("a")
        assert await ns.vms() == []
        await ns.launch("a")
        assert states(await ns.vms()) == {"a": "BUILDING"}
