"""The libvirt adapter with real QEMU under TCG: life and death of guests, adoption, errors."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.system.hypervisor_rig import Worker, is_alive, spec
from tests.waiting import wait_until

from shoal.core.vmconfig import DiskSpec
from shoal_worker.guest import READY_MARKER, GuestImage
from shoal_worker.guest.console import serial_console

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]


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


def test_a_guest_that_cannot_be_noted_keeps_its_folder(worker: Worker, image: GuestImage) -> None:
    """A worker that ended before it noted a guest leaves it its files, and notes it as soon as that is possible."""
    wanted = spec(image, "vm1")
    assert worker.ask("create", spec=wanted).error == ""
    worker.kill()
    note = worker.state / "guests" / wanted.instance / "guest.json"
    note.unlink()
    before = {path.name for path in note.parent.iterdir()}
    # as on a full disk, on which the driver could not start either
    blocked = note.with_name(".guest.json")
    blocked.mkdir()

    (guest,) = worker.start().survey.guests

    assert (guest.instance, guest.state) == (wanted.instance, "paused")
    assert before <= {path.name for path in note.parent.iterdir()}
    assert not note.exists()
    blocked.rmdir()
    worker.ask("survey")
    assert note.exists()


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
