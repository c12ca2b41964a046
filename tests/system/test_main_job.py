"""The main job on real parts: two hosts, two namespaces, real guests over real tunnels, and what may happen to them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.system import capture_checks, guest_checks, lab_rig
from tests.system.lab_rig import Lab
from tests.waiting import eventually

import shoal
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.messages.schedule import ScheduleStatus
from shoal.messages.taps import CreateTap
from shoal.messages.vlans import AddBridge
from shoal.messages.vms import ConnectNet, DisconnectNet
from shoal_worker.guest import MEMORY_MIB, NIC_DRIVER, command_line
from shoal_worker.guest.console import serial_console
from shoal_worker.lab.layout import enter

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]
SHARED = ("10.0.0.1", "10.0.0.2")
BOOT_TIMEOUT_S = 240


def run(*argv, check=True):
    return subprocess.run(argv, capture_output=True, text=True, check=check, timeout=60).stdout


def command_lines():
    """The command lines of all processes."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


class MainLab(Lab):
    """A laboratory of two hosts, and what this test looks at in it."""

    def __init__(self, state):
        super().__init__(state, 2)
        self.restarted = []

    def read(self, name):
        return json.loads((self.state / name).read_text())

    def guest(self, row):
        """The folder of a guest's serial line."""
        return self.state / row.host / "by-name" / row.namespace / row.name

    def links(self, host):
        """The names of all links in a host's namespace."""
        netns = self.read("lab.json")["namespaces"][host]
        return {link["ifname"] for link in json.loads(run(*enter(netns), "ip", "-j", "link"))}

    def worker(self, host):
        """How the lab says that a host's worker is started, and its pid."""
        processes = self.read("processes.json")
        processes = processes["processes"] if isinstance(processes, dict) else processes
        return next(p for p in processes if p["role"] == "worker" and p["host"] == host)


@contextlib.asynccontextmanager
async def laboratory(tmp_path_factory):
    """A lab, a client, and at the end nothing."""
    folder = Path(tmp_path_factory.mktemp("lab"))
    lab = MainLab(folder / "state")
    try:
        await lab.ready()
        async with shoal.connect(lab.url) as client:
            yield lab, client
    finally:
        lab.process.terminate()
        lab.process.wait(60)
        for process in lab.restarted:
            process.wait(10)


def config(image, namespace, name, address, cdrom):
    return VMConfig(
        kernel=str(image.kernel),
        initrd=str(image.initrd),
        memory_mib=MEMORY_MIB,
        serial_ports=1,
        networks=(NetSpec(vlan="100", bridge="lan", driver=NIC_DRIVER),),
        append=command_line(f"{namespace}/{name}", f"{address}/24"),
        cdrom=cdrom,
    )


async def booted(lab, rows):
    """Wait until every guest says that it is up."""
    for row in rows:
        await lab_rig.booted(lab.guest(row), BOOT_TIMEOUT_S)


async def ask(lab, row, address):
    """What a guest hears when it asks an address who is there."""
    async with serial_console(lab.guest(row) / "serial0.sock") as console:
        return await console.ask(address, timeout_s=60)


async def reaches(lab, row, address, identity):
    """Whether a guest hears, sooner or later, who is at an address: emulated guests on a busy machine take their time."""
    async with asyncio.timeout(BOOT_TIMEOUT_S):
        while (answer := await ask(lab, row, address)) is None:
            pass
    return answer == identity


async def fill(client, image, name, addresses, cdrom=""):
    """A namespace with a private bridge and a running guest on each host, with the given addresses."""
    ns = client.namespace(name)
    await ns.create()
    await ns.call(AddBridge(bridge="lan"))
    for number, address in enumerate(addresses, 1):
        await ns.launch(f"vm{number}", config(image, name, f"vm{number}", address, cdrom))
    await ns.start("all")
    return ns


async def test_the_main_job(guest_image, tmp_path_factory):
    """Isolation and reach across hosts, daemons killed and started again, and a namespace cleared: all in one lab."""
    async with laboratory(tmp_path_factory) as (lab, client):
        await guest_checks.put_media(client, lab.state.parent)
        red = await fill(client, guest_image, "red", SHARED, guest_checks.FIRST)
        blue = await fill(client, guest_image, "blue", (*SHARED[:1], "10.0.0.3"))
        reds, blues = await red.vms(), await blue.vms()
        assert {row.host for row in reds} == {row.host for row in blues} == {"mm1", "mm2"}
        await booted(lab, [*reds, *blues])
        await capture_checks.begin(lab, red, reds)
        recorders = capture_checks.recorders(lab)
        await check_reach(lab, reds, blues)
        await check_worker_restart(lab, client, reds, red)
        await check_control_plane(lab, reds, red)
        await capture_checks.go_on(lab, red, recorders)
        await check_error(red, guest_image)
        await check_tap(lab, red, reds)
        await capture_checks.end(lab, client, red, reds, blues, lab.state.parent)
        await guest_checks.check_guest(lab, client, red, reds[0])
        await guest_checks.check_transcript(lab)
        await check_rewire(lab, red, reds)
        await capture_checks.until_the_end(lab, red, reds)
        await check_clear(lab, client, red, blues)
        await capture_checks.after_the_end(lab, client, lab.state.parent)
    check_nothing_left(lab)


async def check_reach(lab, reds, blues):
    """Each namespace's guests reach their own across hosts; the other's address never answers."""
    assert {row.ports[0].vni for row in reds} == {4096 + 100}
    assert {row.ports[0].vni for row in blues} == {2 * 4096 + 100}
    assert await reaches(lab, reds[0], "10.0.0.2", "red/vm2")
    assert await reaches(lab, reds[1], "10.0.0.1", "red/vm1")
    assert await reaches(lab, blues[1], "10.0.0.1", "blue/vm1")
    assert await reaches(lab, blues[0], "10.0.0.3", "blue/vm2")
    assert await ask(lab, reds[0], "10.0.0.3") is None
    assert await ask(lab, blues[0], "10.0.0.2") is None


async def check_rewire(lab, red, reds):
    """A running guest that is unplugged hears nobody; plugged into another VLAN it meets who is there too."""
    one, two = reds
    await red.call(DisconnectNet(target=one.name, index=0))
    assert await ask(lab, two, SHARED[0]) is None
    await red.call(ConnectNet(target=one.name, index=0, vlan="300"))
    assert await ask(lab, two, SHARED[0]) is None
    await red.call(ConnectNet(target=two.name, index=0, vlan="300"))
    assert await reaches(lab, two, SHARED[0], "red/vm1")
    await red.call(ConnectNet(target="vm[1-2]", index=0, vlan="100"))
    assert await reaches(lab, one, SHARED[1], "red/vm2")


async def check_worker_restart(lab, client, reds, red):
    """kill -9 of a worker and its restart leave its guest alone: the same process, and it goes on answering."""
    row = next(row for row in reds if row.host == "mm1")
    other = next(row for row in reds if row.host == "mm2")
    before = next(r for r in await red.vms() if r.name == row.name)
    assert before.pid
    worker = lab.worker("mm1")
    os.kill(worker["pid"], signal.SIGKILL)
    assert await reaches(lab, other, SHARED[int(row.name[2:]) - 1], f"red/{row.name}")
    again = start_again(lab, worker, "again.log")
    try:

        async def claimed():
            assert again.poll() is None
            return "host-claimed" in (lab.state / "again.log").read_text()

        async def alive():
            return "mm1" in {h.host for h in await client.hosts() if h.state == "alive"}

        async def the_same():
            return {r.pid for r in await red.vms() if r.name == row.name} == {before.pid}

        await eventually(claimed, "the worker has its host again", 120)
        await eventually(alive, "the host is alive")
        await eventually(the_same, "the guest is the process that it was")
        (now,) = await red.wait(row.name, "RUNNING", timeout_s=60)
        assert now.instance == before.instance
        assert Path(f"/proc/{before.pid}").exists()
        assert await reaches(lab, row, SHARED[int(other.name[2:]) - 1], f"red/{other.name}")
        # and it obeys its new worker
        assert (await red.stop(row.name)).vms == row.name
        assert (await red.start(row.name)).vms == row.name
        assert await reaches(lab, other, SHARED[int(row.name[2:]) - 1], f"red/{row.name}")
    except BaseException:
        print((lab.state / "again.log").read_text())
        raise


def start_again(lab, process, log):
    """Run a process of the lab that was killed once more, as anyone can from processes.json."""
    with (lab.state / log).open("wb") as sink:
        started = subprocess.Popen(
            process["argv"],
            env={**os.environ, **process.get("env", {})},
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    lab.restarted.append(started)
    return started


async def check_control_plane(lab, reds, red):
    """Without NATS and orchestrator (kill -9 of both) guests and tunnels go on; afterwards they are the same, and obey."""
    before = {row.name: (row.instance, row.pid, "RUNNING") for row in await red.vms()}
    processes = lab.read("processes.json")["processes"]
    dead = [process for role in ("nats", "orchestrator") for process in processes if process["role"] == role]
    assert len(dead) == 2
    for process in dead:
        os.kill(process["pid"], signal.SIGKILL)
    assert await reaches(lab, reds[0], SHARED[1], "red/vm2")
    assert await reaches(lab, reds[1], SHARED[0], "red/vm1")
    for process in dead:
        start_again(lab, process, f"{process['role']}-again.log")

    async def the_same():
        with contextlib.suppress(shoal.ShoalError):
            return {row.name: (row.instance, row.pid, row.state) for row in await red.vms()} == before
        return False

    await eventually(the_same, "all guests are the processes that they were", 120)
    assert (await red.stop("vm1")).vms == "vm1"
    assert (await red.start("vm1")).vms == "vm1"
    assert await reaches(lab, reds[1], SHARED[0], "red/vm1")


async def check_error(red, image):
    """A guest that QEMU cannot start is in ERROR with a reason that names the file, and can be forgotten."""
    broken = VMConfig(kernel="/nowhere/vmlinuz", initrd=str(image.initrd), memory_mib=MEMORY_MIB)
    reply = await red.launch("broken", broken)
    assert "/nowhere/vmlinuz" in reply.failures[0].message
    row = next(row for row in await red.vms() if row.name == "broken")
    assert row.state == "ERROR"
    assert "/nowhere/vmlinuz" in row.reason
    await red.flush("broken")
    assert [run.failures for run in (await red.call(ScheduleStatus())).items][-1] == 1


async def check_tap(lab, red, reds):
    """A tap on the head reaches the guests of its VLAN."""
    await red.call(CreateTap(vlan="100", bridge="lan", ip="10.0.0.254/24"))
    head = lab.read("lab.json")["namespaces"]["head"]
    for address in SHARED:
        done = await asyncio.to_thread(run, *enter(head), "busybox", "ping", "-c", "3", "-W", "5", address)
        assert " 0% packet loss" in done or "bytes from" in done, done
    assert await reaches(lab, reds[0], SHARED[1], "red/vm2")


async def check_clear(lab, client, red, blues):
    """Clearing red leaves nothing of it on any host, and blue does not notice."""
    pids = [row.pid for row in await red.vms()]
    await red.clear()
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()
    for host in ("head", "mm1", "mm2"):
        left = {name for name in lab.links(host) if name not in ("lo", "under0")}
        blue_links = {"shb-2-100", "shx-2-100"} if host != "head" else set()
        taps = {port.tap for row in blues if row.host == host for port in row.ports}
        assert left == blue_links | taps
    assert "red" not in {row.namespace for row in await client.namespaces()}
    assert await reaches(lab, blues[0], "10.0.0.3", "blue/vm2")


def check_nothing_left(lab):
    """After a SIGTERM of the lab: no namespace, no process, no guest."""
    identity = lab.state
    assert "shoal-" not in run("ip", "netns")
    assert [line for line in command_lines() if str(identity) in line] == []
