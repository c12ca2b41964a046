"""The hosts of a lab: namespaces that come and go, and whatever runs in them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.waiting import wait_until

from shoal.errors import Refused
from shoal_worker.lab import census, hosts
from shoal_worker.lab.layout import HEAD, MARK, enter, nodes
from shoal_worker.lab.teardown import tear_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shoal_worker.lab.layout import Node

pytestmark = pytest.mark.root

DEADLINE_S = 60.0
#: a process that ends only when it is killed
STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def own_links() -> set[str]:
    """The interfaces of the machine's own namespace."""
    shown = subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, timeout=30).stdout
    return {link["ifname"] for link in json.loads(shown)}


@pytest.fixture
def lab(need: Callable[[str, bool], None], tmp_path: Path) -> Iterator[str]:
    """The id of a lab that may be made; nothing of it remains."""
    need("root", os.geteuid() == 0)
    for tool in ("ip", "nsenter", "busybox"):
        need(tool, shutil.which(tool) is not None)
    name = f"test{os.getpid()}"
    yield name
    tear_down(name, tmp_path, remove_state=False)


@pytest.fixture
def made(lab: str) -> tuple[Node, ...]:
    """The head and two hosts."""
    found = nodes(lab, ("mm1", "mm2"))
    hosts.create(lab, found)
    return found


def inside(node: Node, *command: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a command in a host, in a session of its own."""
    return subprocess.Popen([*enter(node.netns), *command], stdout=stdout, start_new_session=True)


def test_hosts_come_and_go(lab: str) -> None:
    """Hosts reach each other over the underlay, nothing shows in the machine's own namespace, nothing stays."""
    before = own_links()
    found = nodes(lab, ("mm1", "mm2"))
    hosts.create(lab, found)
    assert own_links() == before
    assert {path.name for path in hosts.namespaces(lab)} == {
        f"shoal-{lab}-{name}" for name in ("net", HEAD, "mm1", "mm2")
    }
    for node in found:
        for address in ("127.0.0.1", *(other.address for other in found)):
            assert inside(node, "busybox", "ping", "-c", "1", "-W", "5", address).wait(30) == 0
    hosts.remove(lab)
    hosts.remove(lab)
    assert hosts.namespaces(lab) == []
    assert own_links() == before


def test_full_frames_fit_into_the_tunnels(made: tuple[Node, ...]) -> None:
    """The underlay takes a guest's 1500 bytes and the 50 of VXLAN in one piece (1550 - 28 of ping's headers)."""
    command = ("busybox", "ping", "-c", "1", "-W", "5", "-s", "1522", made[1].address)
    assert inside(made[0], *command).wait(30) == 0


def test_labs_live_side_by_side(lab: str, tmp_path: Path) -> None:
    """The end of one lab leaves another one alone, although both have the same addresses."""
    other = f"{lab}x"
    try:
        for name in (lab, other):
            hosts.create(name, nodes(name, ("mm1",)))
        tear_down(lab, tmp_path / "missing", remove_state=False)
        assert hosts.namespaces(lab) == []
        assert len(hosts.namespaces(other)) == 3
    finally:
        hosts.remove(other)


def test_a_half_made_lab_is_refused_and_removed(lab: str, made: tuple[Node, ...]) -> None:
    """Making what is there already fails in one line, and what there is can still be removed."""
    with pytest.raises(Refused, match="could not be made"):
        hosts.create(lab, made)
    hosts.remove(lab)
    assert hosts.namespaces(lab) == []


def test_namespaces_that_are_made_while_others_are_removed_go_too(
    lab: str, made: tuple[Node, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever tears a lab down may meet one that is still being made."""
    late, run = [f"{made[1].netns}-late{number}" for number in range(2)], subprocess.run

    def add_one_first(*words: Any, **options: Any) -> subprocess.CompletedProcess[Any]:
        if late:
            run(["ip", "netns", "add", late.pop()], check=True, timeout=30)
        return run(*words, **options)

    monkeypatch.setattr(subprocess, "run", add_one_first)
    hosts.remove(lab)
    assert hosts.namespaces(lab) == []


#: a lab that makes many hosts
MANY = """
    import sys
    from shoal_worker.lab import hosts
    from shoal_worker.lab.layout import nodes

    hosts.create(sys.argv[1], nodes(sys.argv[1], [f"mm{number}" for number in range(30)]))
"""
#: an `ip` that takes its time over each line of `-batch -`
SLOW_IP = """#!/bin/sh
while read -r line; do
    {ip} $line
    sleep 0.1
done
"""


def test_a_lab_that_was_killed_while_it_made_its_hosts_leaves_nothing(lab: str, tmp_path: Path) -> None:
    """The `ip` that it started goes on without it, and is ended before the namespaces are removed."""
    slow = tmp_path / "bin" / "ip"
    slow.parent.mkdir()
    slow.write_text(SLOW_IP.format(ip=shutil.which("ip")))
    slow.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(MANY), lab],
        env={**os.environ, "PATH": f"{slow.parent}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    try:
        wait_until(lambda: hosts.namespaces(lab), "the first host is made")
    finally:
        process.kill()
        process.wait()
    at_work = [pid for pid in census.pids() if str(slow) in census.command_of(pid)]
    assert at_work
    tear_down(lab, tmp_path / "missing", remove_state=False)
    assert not any(map(census.alive, at_work))
    assert hosts.namespaces(lab) == []


def test_teardown_ends_what_runs_in_the_hosts(lab: str, made: tuple[Node, ...], tmp_path: Path) -> None:
    """Processes in the hosts, and marked ones outside, end, also stubborn and stopped ones; strangers do not."""
    obedient = inside(made[1], "sleep", "600")
    stubborn = inside(made[2], sys.executable, "-c", STUBBORN, stdout=subprocess.PIPE)
    stopped = inside(made[0], "sleep", "600")
    marked = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: lab}, start_new_session=True)
    stranger = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: f"{lab}y"}, start_new_session=True)
    try:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"up\n"
        stopped.send_signal(signal.SIGSTOP)
        member = census.Member(lab=lab, netns=census.inodes(hosts.namespaces(lab)))
        ours = {obedient.pid, stubborn.pid, stopped.pid, marked.pid}
        wait_until(lambda: set(census.members(member)) == ours, "exactly ours are found")
        assert census.end(member, grace_s=1.0, later_grace_s=0.5) == []
        tear_down(lab, tmp_path, remove_state=False)
        assert obedient.wait(5) == -signal.SIGTERM
        assert stubborn.wait(5) == -signal.SIGKILL
        assert stopped.wait(5) == -signal.SIGTERM
        assert marked.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
        assert hosts.namespaces(lab) == []
    finally:
        for process in (obedient, stubborn, stopped, marked, stranger):
            process.kill()
            process.wait()
        if stubborn.stdout is not None:
            stubborn.stdout.close()


def test_what_others_need_ends_last(lab: str, made: tuple[Node, ...]) -> None:
    """The server that workers say goodbye to is told to end only after them."""
    first = inside(made[0], "sleep", "600")
    last = inside(made[0], "sleep", "601")
    seen: list[int] = []
    watch = threading.Thread(target=lambda: seen.extend((first.wait(), last.poll() or 0)))
    watch.start()
    try:
        wait_until(lambda: census.command_of(last.pid) == ("sleep", "601"), "it has become sleep")
        member = census.Member(lab=lab, netns=census.inodes(hosts.namespaces(lab)))
        census.end(member, grace_s=5.0, later=lambda pid: census.command_of(pid)[1:] == ("601",))
        watch.join(DEADLINE_S)
        assert seen == [-signal.SIGTERM, 0]
        assert last.wait(5) == -signal.SIGTERM
    finally:
        for process in (first, last):
            process.kill()
            process.wait()


#: a lab that makes its hosts, starts a process in one of them, and waits to be killed
STAND_IN = """
    import subprocess, sys, time
    from shoal_worker.lab import hosts
    from shoal_worker.lab.guard import guarded
    from shoal_worker.lab.layout import enter, nodes
    from shoal_worker.lab.preconditions import open_state

    lab = sys.argv[1]
    state = open_state(None, lab)
    with guarded(lab, state):
        found = nodes(lab, ("mm1",))
        hosts.create(lab, found)
        child = subprocess.Popen([*enter(found[1].netns), "sleep", "600"], start_new_session=True)
        print(state.path, child.pid, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def stand_in(lab: str) -> Iterator[tuple[subprocess.Popen[str], Path, int]]:
    """A lab without daemons: its process, its state directory, and the process in its host."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STAND_IN), lab],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    state, pid = process.stdout.readline().split()
    yield process, Path(state), int(pid)
    process.kill()
    process.communicate()


def test_a_killed_lab_leaves_nothing(lab: str, stand_in: tuple[subprocess.Popen[str], Path, int]) -> None:
    """After kill -9 of the lab its guard ends the processes, removes the namespaces and the state directory."""
    process, state, pid = stand_in
    assert census.alive(pid)
    assert state.is_dir()
    process.kill()
    wait_until(lambda: not state.exists(), "the state folder is gone")
    assert not census.alive(pid)
    assert hosts.namespaces(lab) == []


def test_the_guard_survives_what_a_terminal_sends(
    lab: str, stand_in: tuple[subprocess.Popen[str], Path, int]
) -> None:
    """The guard is in a session of its own: a signal to the lab's whole process group does not reach it."""
    process, state, pid = stand_in
    os.killpg(process.pid, signal.SIGKILL)
    wait_until(lambda: not state.exists(), "the state folder is gone")
    assert not census.alive(pid)
    assert hosts.namespaces(lab) == []


def test_a_lab_that_ends_well_leaves_nothing(
    lab: str, stand_in: tuple[subprocess.Popen[str], Path, int]
) -> None:
    """At a good end all is gone before the lab's process is, and the guard too."""
    process, state, pid = stand_in
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert not state.exists()
    assert not census.alive(pid)
    assert hosts.namespaces(lab) == []
    assert not [
        other
        for other in census.pids()
        if "shoal_worker.lab.guard" in census.command_of(other) and lab in census.command_of(other)
    ]


def test_the_relay_joins_the_machine_and_the_head(made: tuple[Node, ...]) -> None:
    """A connection to the machine's port reaches the head's server, both ways, to the end of each direction."""
    echo = textwrap.dedent("""
        import socket
        server = socket.create_server(("127.0.0.1", 4222))
        print("up", flush=True)
        while True:
            connection, _ = server.accept()
            taken = b"".join(iter(lambda: connection.recv(65536), b""))
            connection.sendall(taken[::-1])
            connection.close()
    """)
    server = inside(made[0], sys.executable, "-c", echo, stdout=subprocess.PIPE)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        relay = subprocess.Popen(
            [
                *enter(made[0].netns),
                *(sys.executable, "-m", "shoal_worker.lab.relay"),
                *("--fd", str(listening.fileno()), "--to", "127.0.0.1:4222"),
            ],
            pass_fds=(listening.fileno(),),
        )
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"up\n"
            sent = bytes(range(256)) * 4000
            for _ in range(2):
                with socket.create_connection(listening.getsockname(), timeout=DEADLINE_S) as connection:
                    connection.sendall(sent)
                    connection.shutdown(socket.SHUT_WR)
                    assert b"".join(iter(lambda: connection.recv(65536), b"")) == sent[::-1]
            server.kill()
            server.wait()
            # nobody listens any more: the connection is taken, and closed or reset at once
            with (
                contextlib.suppress(ConnectionError),
                socket.create_connection(listening.getsockname(), timeout=DEADLINE_S) as connection,
            ):
                assert connection.recv(1) == b""
        finally:
            for process in (server, relay):
                process.terminate()
                process.wait(DEADLINE_S)
            if server.stdout is not None:
                server.stdout.close()
