"""The libvirt adapter with real QEMU under TCG: life and death of guests, adoption, errors."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal_worker.cache_folder import cache_folder
from shoal_worker.guest import MEMORY_MIB, READY_MARKER, GuestImage, command_line, image_in
from shoal_worker.guest.build import build
from shoal_worker.guest.console import serial_console
from shoal_worker.guest.kernel_package import BuildError
from shoal_worker.hypervisor import Guest, GuestSpec, GuestState, Survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

AGENT = str(Path(__file__).with_name("hypervisor_agent.py"))
CACHE = cache_folder(os.environ, root=True)


class Answer(msgspec.Struct):
    """What the agent (hypervisor_agent.py) answers; see there."""

    survey: Survey
    error: str
    version: str
    seconds: float
    changes: int


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether it is a process that has not ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Worker:
    """An agent process and the state folder that it works in; `start` again after `kill`."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Answer:
        self._process = subprocess.Popen(
            [sys.executable, AGENT, str(self.state), str(CACHE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self.ask("open")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._close(self._process)

    def stop(self) -> int:
        """Let it end in order; returns its exit code."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        code = self._process.wait(30)
        self._close(self._process)
        return code

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        process.wait(30)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._process = None

    def say(self, do: str, **words: Any) -> None:
        """Ask for something, and do not wait for the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"do": do, **words}) + b"\n")
        self._process.stdin.flush()

    def ask(self, do: str, **words: Any) -> Answer:
        self.say(do, **words)
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the agent ended while it was asked to {do}"
        return msgspec.json.decode(line, type=Answer)

    def guest(self, instance: str) -> Guest:
        found = [guest for guest in self.ask("survey").survey.guests if guest.instance == instance]
        assert len(found) == 1, f"{len(found)} guests of instance {instance}"
        return found[0]

    def wait_for(self, instance: str, state: GuestState) -> Guest:
        wait_until(lambda: self.guest(instance).state == state, f"guest {instance} {state}")
        return self.guest(instance)

    def end(self) -> None:
        """Remove all guests, whatever happened before."""
        if self._process is None:
            self.start()
        for guest in self.ask("survey").survey.guests:
            self.ask("destroy", instance=guest.instance)
        self.stop()


@pytest.fixture
def worker(need: Callable[[str, bool], None], image: GuestImage) -> Iterator[Worker]:
    need("root", os.geteuid() == 0)
    need("qemu-system-x86_64", shutil.which("qemu-system-x86_64") is not None)
    need("user libvirt-qemu", any(user.pw_name == "libvirt-qemu" for user in pwd.getpwall()))
    pytest.importorskip("libvirt")
    assert image.kernel.exists()
    # short, since the paths of sockets are limited
    with tempfile.TemporaryDirectory(prefix="shoal-") as state:
        found = Worker(Path(state))
        found.start()
        try:
            yield found
        finally:
            found.end()


@pytest.fixture(scope="session")
def built() -> GuestImage | str:
    try:
        return build(CACHE / "guest", print)
    except BuildError as error:
        return str(error)


@pytest.fixture
def image(need: Callable[[str, bool], None], built: GuestImage | str) -> GuestImage:
    need(f"guest image ({built})", isinstance(built, GuestImage))
    found = image_in(CACHE / "guest")
    assert found is not None
    return found


def spec(image: GuestImage, name: str, **changes: Any) -> GuestSpec:
    config = VMConfig(
        memory_mib=MEMORY_MIB,
        kernel=str(image.kernel),
        initrd=str(image.initrd),
        append=command_line(f"red/{name}"),
        serial_ports=1,
    )
    return GuestSpec(
        namespace="red",
        name=name,
        instance=uuid.uuid4().hex,
        revision=7,
        uuid=str(uuid.uuid4()),
        config=msgspec.structs.replace(config, **changes),
    )


def test_life_of_a_guest(worker: Worker, image: GuestImage) -> None:
    """A guest is created paused, runs, speaks, pauses, goes on, turns itself off, and leaves nothing behind."""
    wanted = spec(image, "vm1")
    folder = worker.state / "by-name/red/vm1"
    created = worker.ask("create", spec=wanted)
    assert created.error == ""
    (guest,) = created.survey.guests
    assert (guest.namespace, guest.name, guest.revision) == ("red", "vm1", 7)
    assert guest.state == "paused"
    assert is_alive(guest.pid)
    assert (folder / "serial0.log").read_text() == "", "a paused guest says nothing"

    for _ in "twice":
        assert worker.ask("resume", instance=wanted.instance).error == ""
    assert worker.guest(wanted.instance).state == "running"
    log = folder / "serial0.log"
    wait_until(lambda: f"{READY_MARKER} red/vm1" in log.read_text(errors="replace"), "marker", 240)

    async def talk() -> None:
        async with serial_console(folder / "serial0.sock") as console:
            assert await console.uptime_s() > 0
            assert await console.ping("127.0.0.1")
            assert await console.ask("127.0.0.1") == "red/vm1"
            nobody, silence = await asyncio.gather(console.ask("10.9.9.9"), console.ping("10.9.9.9"))
            assert nobody is None
            assert not silence
            assert worker.ask("pause", instance=wanted.instance).survey.guests[0].state == "paused"
            assert worker.ask("pause", instance=wanted.instance).error == ""
            assert worker.ask("resume", instance=wanted.instance).survey.guests[0].state == "running"
            await console.poweroff(timeout_s=60)

    asyncio.run(talk())
    ended = worker.wait_for(wanted.instance, "shutoff")
    assert ended.reason == ""
    assert not is_alive(guest.pid)
    gone = worker.ask("destroy", instance=wanted.instance)
    assert gone.error == ""
    assert gone.survey.guests == ()
    assert not list((worker.state / "guests").iterdir())
    assert not list((worker.state / "by-name").iterdir())


def test_destroyed_guest_is_reaped(worker: Worker, image: GuestImage) -> None:
    """Ending a running guest waits for no other process to reap it, leaves no zombie, and is told to watchers."""
    wanted = spec(image, "vm1")
    pid = worker.ask("create", spec=wanted).survey.guests[0].pid
    before = worker.ask("resume", instance=wanted.instance).changes
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) == worker.pid
    destroyed = worker.ask("destroy", instance=wanted.instance)
    assert destroyed.survey.guests == ()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "QEMU reaped")
    assert destroyed.changes > before
    assert worker.ask("destroy", instance=wanted.instance).error == "", "a guest that is gone is fine"


def test_adoption_after_kill(worker: Worker, image: GuestImage) -> None:
    """A worker killed with -9 finds its guests again, the same processes, by their instance; the dead ones failed."""
    running, paused, doomed = (spec(image, name) for name in ("vm1", "vm2", "vm3"))
    for wanted in (running, paused, doomed):
        assert worker.ask("create", spec=wanted).error == ""
    worker.ask("resume", instance=running.instance)
    before = {guest.instance: guest for guest in worker.ask("survey").survey.guests}
    worker.kill()
    os.kill(before[doomed.instance].pid, signal.SIGKILL)
    leftover = worker.state / "guests/0123456789abcdef"
    leftover.mkdir()

    after = {guest.instance: guest for guest in worker.start().survey.guests}

    assert after.keys() == before.keys()
    assert after[running.instance] == before[running.instance]
    assert after[paused.instance] == before[paused.instance]
    assert after[doomed.instance].state == "failed"
    assert "no worker watched" in after[doomed.instance].reason
    assert not leftover.exists(), "what an interrupted creation left is removed"
    assert worker.ask("resume", instance=paused.instance).error == ""
    assert worker.guest(paused.instance).state == "running"
    assert worker.ask("destroy", instance=doomed.instance).error == ""
    assert {guest.instance for guest in worker.ask("survey").survey.guests} == before.keys() - {
        doomed.instance
    }
    # what was told of the end is still told after one more restart
    os.kill(before[running.instance].pid, signal.SIGKILL)
    reason = worker.wait_for(running.instance, "failed").reason
    assert worker.stop() == 0
    worker.start()
    assert worker.guest(running.instance).reason == reason


def test_worker_killed_while_it_saves(worker: Worker, image: GuestImage) -> None:
    """A guest whose saving was broken off by -9 is paused and otherwise well: it goes on, and can be saved again."""
    wanted = spec(image, "vm1")
    worker.ask("create", spec=wanted)
    worker.ask("resume", instance=wanted.instance)
    folder = worker.state / "guests" / wanted.instance
    log = folder / "serial0.log"
    wait_until(lambda: READY_MARKER in log.read_text(errors="replace"), "marker", 240)
    pid = worker.ask("pause", instance=wanted.instance).survey.guests[0].pid
    worker.say("save", instance=wanted.instance)
    draft = folder / "save/state"
    wait_until(lambda: draft.exists() and draft.stat().st_size > 1 << 20, "a part of the state")
    worker.kill()
    (guest,) = worker.start().survey.guests
    assert (guest.state, guest.pid) == ("paused", pid)
    assert worker.ask("resume", instance=wanted.instance).survey.guests[0].state == "running"

    async def uptime_s() -> int:
        async with serial_console(folder / "serial0.sock") as console:
            return await console.uptime_s()

    assert asyncio.run(uptime_s()) > 0
    worker.ask("pause", instance=wanted.instance)
    for _ in "twice":
        assert worker.ask("save", instance=wanted.instance).error == ""
    assert not (folder / "save").exists()
    worker.ask("resume", instance=wanted.instance)
    assert asyncio.run(uptime_s()) > 0


def test_qemu_killed(worker: Worker, image: GuestImage) -> None:
    """A QEMU that somebody kills makes its guest failed, with the signal as reason, until it is destroyed."""
    wanted = spec(image, "vm1")
    worker.ask("create", spec=wanted)
    resumed = worker.ask("resume", instance=wanted.instance)
    os.kill(resumed.survey.guests[0].pid, signal.SIGKILL)
    guest = worker.wait_for(wanted.instance, "failed")
    assert guest.reason == "QEMU died: killed by signal 9 (SIGKILL)"
    assert guest.pid == 0
    for verb in ("resume", "pause"):
        assert worker.ask(verb, instance=wanted.instance).error == "", f"{verb} of a dead guest is no error"
    assert worker.ask("create", spec=wanted).error.endswith("destroy it first")
    again = spec(image, "vm1")
    assert worker.ask("create", spec=again).error == "", "its name is free for another instance"
    assert worker.ask("destroy", instance=wanted.instance).error == ""
    assert (worker.state / "by-name/red/vm1").resolve().name == again.instance


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"kernel": "/nowhere/vmlinuz"}, "kernel /nowhere/vmlinuz does not exist on host mm1"),
    ({"disks": (DiskSpec("/nowhere/a.qcow2"),)}, "disk /nowhere/a.qcow2 does not exist on host mm1"),
    ({"cdrom": "relative.iso"}, "cdrom relative.iso is not an absolute path"),
    ({"cpu": "nonsense"}, "Unknown CPU model nonsense"),
    ({"qemu_append": ("-nonsense",)}, "-nonsense: invalid option"),
    ({"memory_mib": 1 << 33}, "Cannot allocate memory"),
]


def test_what_cannot_be_created(worker: Worker, image: GuestImage) -> None:
    """A guest that cannot be is refused in one line with the reason, and leaves nothing behind."""
    for changes, reason in IMPOSSIBLE:
        answer = worker.ask("create", spec=spec(image, "vm1", **changes))
        assert reason in answer.error
        assert answer.error.startswith("cannot create guest red/vm1")
        assert "\n" not in answer.error
        assert answer.survey.guests == ()
        assert not list(worker.state.glob("guests/*"))
        assert not list(worker.state.glob("by-name/*"))


#: a boot sector that writes itself to the second sector by the BIOS, says on the serial line whether it could, and halts
BOOT_SECTOR = (
    bytes.fromhex(
        "31c0 8ed8 8ec0"  # segments 0
        "bb007c b80103 b90200 ba8000 cd13"  # write 1 sector from 7c00 to cylinder 0, sector 2 of the first disk
        "baf803 b057 7302 b045 ee"  # `W`, or `E` if that failed, to COM1
        "f4 ebfd"
    ).ljust(510, b"\0")
    + b"\x55\xaa"
)


@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_what_a_guest_writes_is_in_its_overlay(worker: Worker, form: str) -> None:
    """A guest that writes to its disk leaves the image byte for byte the same; what it wrote is in its overlay."""
    plain = worker.state / "plain.img"
    plain.write_bytes(BOOT_SECTOR.ljust(1 << 20, b"\0"))
    # where a worker keeps the cluster's files, which must not need others
    folder = worker.state / "files"
    folder.mkdir()
    disk = folder / "image"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, str(plain), str(disk)], check=True)
    disk.chmod(0o444)
    before = disk.read_bytes()
    config = VMConfig(memory_mib=32, disks=(DiskSpec(str(disk)),), serial_ports=1)
    wanted = GuestSpec(
        namespace="red",
        name="writer",
        instance=uuid.uuid4().hex,
        revision=1,
        uuid=str(uuid.uuid4()),
        config=config,
    )
    assert worker.ask("create", spec=wanted).error == ""
    worker.ask("resume", instance=wanted.instance)
    guest = worker.state / "guests" / wanted.instance
    wait_until(lambda: (guest / "serial0.log").read_bytes()[-1:] in (b"W", b"E"), "the sector written", 120)
    assert (guest / "serial0.log").read_bytes()[-1:] == b"W"
    worker.ask("pause", instance=wanted.instance)
    seen = worker.state / "seen.img"
    copy = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw", str(guest / "disk0.qcow2"), str(seen)]
    subprocess.run(copy, check=True)
    assert seen.read_bytes()[512:1024] == BOOT_SECTOR
    worker.ask("destroy", instance=wanted.instance)
    assert disk.read_bytes() == before
    assert before.count(BOOT_SECTOR) == 1


def test_an_image_of_the_cluster_needs_no_other(worker: Worker, image: GuestImage) -> None:
    """A file of the cluster that names a backing file, even another one of the cluster, is refused at launch."""
    folder = worker.state / "files"
    folder.mkdir()
    (folder / "base").write_bytes(b"\0" * 512)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base", str(folder / "top")]
    subprocess.run(command, check=True)
    answer = worker.ask("create", spec=spec(image, "vm1", disks=(DiskSpec(str(folder / "top")),)))
    assert "it needs a backing file, 'base', and a file of the cluster must not need others" in answer.error
    assert answer.survey.guests == ()


def test_snapshot_leaves_the_disk_alone(worker: Worker, image: GuestImage) -> None:
    """With snapshot a guest gets an overlay of its own in its folder; the image stays as it was."""
    disk = worker.state / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "16M"], check=True)
    before = disk.read_bytes()
    one, two = (spec(image, name, disks=(DiskSpec(str(disk)),)) for name in ("vm1", "vm2"))
    for wanted in (one, two):
        assert worker.ask("create", spec=wanted).error == ""
        worker.ask("resume", instance=wanted.instance)
        assert (worker.state / "guests" / wanted.instance / "disk0.qcow2").exists()
    for wanted in (one, two):
        worker.ask("destroy", instance=wanted.instance)
    assert disk.read_bytes() == before
