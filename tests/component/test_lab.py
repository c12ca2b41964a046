"""`shoal lab --simulate` and `shoal up --simulate`: real processes, simulated hosts, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import wait_until

from shoal.errors import Unavailable
from shoal.testing import find_nats_server
from shoal_worker.lab import census

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAB = (sys.executable, "-m", "shoal_worker.lab")
DEADLINE_S = 90.0


@pytest.fixture(autouse=True)
def server(need: Callable[[str, bool], None]) -> None:
    try:
        find_nats_server()
    except Unavailable:
        need("nats-server", False)


class Running:
    """A cluster in the foreground, started and up. `file` reads one of its JSON files."""

    def __init__(self, *words: str, state: Path, temporary: Path) -> None:
        self.state = state
        self.process = subprocess.Popen(
            [*LAB, *words, "--state", str(state)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        assert self.process.stdout is not None
        said: list[str] = []
        while not said or "Ctrl-C here" not in said[-1]:
            said.append(self.process.stdout.readline())
            assert said[-1], self.process.communicate()
        self.said = "".join(said)
        self.told = ""
        self.member = census.Member(lab=self.file("lab")["lab"])

    def file(self, name: str) -> Any:
        return json.loads((self.state / f"{name}.json").read_text())

    def role(self, role: str) -> Any:
        (found,) = (process for process in self.file("processes")["processes"] if process["role"] == role)
        return found

    def end(self, number: signal.Signals) -> int:
        """Signal the lab alone, and wait for its end; its exit code."""
        self.process.send_signal(number)
        self.told = self.process.communicate(timeout=DEADLINE_S)[1]
        return self.process.returncode

    def leftovers(self) -> list[int]:
        return census.members(self.member)

    def is_gone(self) -> bool:
        return not self.leftovers()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """`start("lab", …)`: run a cluster; it is killed if the test does not end it."""
    started: list[Running] = []

    def run(*words: str) -> Running:
        started.append(Running(*words, "--simulate", state=tmp_path / f"s{len(started)}", temporary=tmp_path))
        return started[-1]

    yield run
    for running in started:
        running.process.kill()
        running.process.communicate()
        wait_until(running.is_gone, "the lab is gone", DEADLINE_S)


def lab(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a lab to its end."""
    return subprocess.run(
        [*LAB, "lab", "--simulate", *words],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=DEADLINE_S,
        env={**os.environ, **environment},
    )


def test_the_command_runs_when_all_hosts_are_alive(tmp_path: Path) -> None:
    """It finds `shoal` and the server, sees every host alive, and its exit code is the lab's; the state is gone."""
    done = lab(
        *(
            "--hosts",
            "mm[1-2],x",
            "--",
            "sh",
            "-c",
            "shoal -o json mesh list; echo $SHOAL_LAB_STATE >&2; exit 7",
        ),
        TMPDIR=str(tmp_path),
    )
    assert done.returncode == 7, done.stderr
    rows = json.loads(done.stdout)
    assert {(row["host"], row["role"], row["state"]) for row in rows} == {
        ("head", "edge", "alive"),
        ("mm1", "host", "alive"),
        ("mm2", "host", "alive"),
        ("x", "host", "alive"),
    }
    assert str(tmp_path) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_the_command_leaves_running_is_ended(tmp_path: Path) -> None:
    """A process that the command put into the background goes with the lab."""
    done = lab("--hosts", "1", "--", "sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert not census.alive(int(done.stdout))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 0),
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_however_a_lab_is_ended_nothing_is_left(
    start: Callable[..., Running], number: signal.Signals, code: int
) -> None:
    """All its processes end, by itself or by its guard, and its state directory can be used again at once."""
    running = start("lab", "--hosts", "2")
    written = running.file("processes")["processes"]
    assert {(process["role"], process["leader"]) for process in written} == {
        ("nats", False),
        ("orchestrator", True),
        ("worker", False),
    }
    assert all(census.command_of(process["pid"]) == tuple(process["argv"]) for process in written)
    assert f"export NATS_URL={running.file('lab')['url']}" in running.said
    assert running.end(number) == code
    assert ("shoal: taking the lab down\n" in running.told) == (number != signal.SIGKILL)
    wait_until(running.is_gone, "the lab is gone", DEADLINE_S)
    wait_until(
        lambda: not [pid for pid in census.pids() if str(running.state) in census.command_of(pid)],
        "no process of the lab is left",
        DEADLINE_S,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_lab_ends_its_command(tmp_path: Path, number: signal.Signals) -> None:
    """Without a terminal that would tell the command too, the lab passes the signal on, and ends."""
    process = subprocess.Popen(
        [*LAB, "lab", "--simulate", "--hosts", "1", "--", "sh", "-c", "echo $$; exec sleep 600"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    command = int(process.stdout.readline())
    process.send_signal(number)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + number
    assert not census.alive(command)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_started_again_is_found_and_ended(start: Callable[..., Running]) -> None:
    """The lab restarts nothing; whoever runs a process's argv again sees it in processes.json, and it ends too."""
    running = start("lab", "--hosts", "1")
    before = running.role("orchestrator")
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: running.role("orchestrator")["pid"] == 0, "it is known to be gone", DEADLINE_S)
    assert not running.role("orchestrator")["leader"]
    with (running.state / "again.log").open("wb") as log:
        again = subprocess.Popen(before["argv"], stdout=log, stderr=log, start_new_session=True)
    wait_until(lambda: running.role("orchestrator")["pid"] == again.pid, "it is known again", DEADLINE_S)
    assert running.end(signal.SIGTERM) == 128 + signal.SIGTERM
    assert again.wait(DEADLINE_S) is not None


def test_two_labs_do_not_share_a_state_directory(start: Callable[..., Running]) -> None:
    """The second one is refused in one line, and the first one goes on."""
    running = start("lab", "--hosts", "1")
    refused = lab("--hosts", "1", "--state", str(running.state), "--", "true")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "is in use by another lab" in refused.stderr
    assert running.process.poll() is None
    assert len(running.leftovers()) == 3


def test_a_port_in_use_is_said_before_anything_is_started(tmp_path: Path) -> None:
    """One line says which port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = lab("--port", str(port), "--", "true", TMPDIR=str(tmp_path))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 is in use" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_not_there_is_said_first(tmp_path: Path) -> None:
    """Nothing is started for a command that cannot run."""
    refused = lab("--", "no-such-program", TMPDIR=str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr == 'shoal: exec: "no-such-program": executable file not found in $PATH\n'
    assert list(tmp_path.iterdir()) == []


def test_a_daemon_that_cannot_start_ends_the_lab(tmp_path: Path) -> None:
    """The lab says which one, with the last thing that it said and where to read more; nothing is left."""
    state = tmp_path / "state"
    (state / "nats" / "store").mkdir(parents=True)
    (state / "nats" / "store" / "jetstream").write_text("a file where a folder should be")
    refused = lab("--hosts", "1", "--state", str(state), "--", "true")
    assert refused.returncode == 1
    assert "the nats head ended" in refused.stderr
    assert "nats-head.log" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_up_is_one_host_that_is_head_too(start: Callable[..., Running]) -> None:
    """It says where it is, the machine is head and host, and Ctrl-C ends it with code 0."""
    running = start("up", "--port", "0", "--clean")
    url = running.file("lab")["url"]
    assert url in running.said
    shown = subprocess.run(
        [Path(sys.executable).with_name("shoal"), "--server", url, "-o", "json", "mesh", "list"],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    (row,) = json.loads(shown.stdout)
    assert (row["host"], row["role"], row["head"]) == (socket.gethostname(), "host", "true")
    assert running.end(signal.SIGINT) == 0
    assert running.is_gone()


def test_up_ends_when_one_of_its_parts_does(start: Callable[..., Running]) -> None:
    """A worker that ends by itself ends the rest, with a line that says which one it was."""
    running = start("up", "--port", "0")
    os.kill(running.role("worker")["pid"], signal.SIGKILL)
    _, said = running.process.communicate(timeout=DEADLINE_S)
    assert running.process.returncode == 1
    assert "the worker simulated was killed by signal 9" in said.splitlines()[-1]
    assert running.is_gone()
