"""Whether the process that holds the lead has ended, as /proc tells it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shoal_orchestrator.holder import has_ended, no_longer_leads, this_process


def holder_of(pid: int) -> str:
    """The name that another process gives itself."""
    boot, space, _, _ = this_process().split("/")
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{boot}/{space}/{pid}/{started}"


def test_we_have_not_ended() -> None:
    """A running process names itself, and is found running."""
    assert this_process().split("/")[2] == str(os.getpid())
    assert not has_ended(this_process())


def test_a_killed_process_has_ended_even_before_it_is_reaped() -> None:
    """A zombie leads nothing; nor does a number that nothing bears any more."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    name = holder_of(child.pid)
    assert not has_ended(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(name)
    child.wait()
    assert has_ended(name)


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    """Process numbers come back; the time of start tells them apart."""
    boot, space, pid, started = this_process().split("/")
    assert has_ended(f"{boot}/{space}/{pid}/{int(started) - 1}")


def test_what_runs_elsewhere_is_never_said_to_have_ended() -> None:
    """Of another machine, another boot or another PID namespace nothing is known, nor of a name that is none."""
    _, space, pid, started = this_process().split("/")
    assert not has_ended(f"another-boot/{space}/{pid}/{int(started) - 1}")
    boot = this_process().split("/")[0]
    assert not has_ended(f"{boot}/1/{pid}/{int(started) - 1}")
    assert not has_ended("")
    assert not has_ended("simulated")


def test_where_processes_are_hidden_nobody_is_said_to_have_ended(tmp_path: Path) -> None:
    """With /proc showing nobody else's processes, a leader that is not seen may well run."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("boot\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    space = (tmp_path / "self/ns/pid").stat().st_ino
    assert not has_ended(f"boot/{space}/4711/99", tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1/stat").write_text("1 (init) S " + " ".join(["0"] * 18) + " 5 0")
    assert has_ended(f"boot/{space}/4711/99", tmp_path)


def test_a_process_does_not_wait_for_its_own_last_term() -> None:
    """Its store was away for long: when it stands by again, nobody else holds that fence. Others are waited for."""
    assert no_longer_leads(this_process())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        name = holder_of(child.pid)
        assert not no_longer_leads(name)
        child.kill()
        child.wait()
        assert no_longer_leads(name)
