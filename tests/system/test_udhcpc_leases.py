"""A host tap's address by DHCP: a real client and a real server in network namespaces."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.system.network_rig import ip
from tests.waiting import wait_until

from shoal_worker.lab.census import alive, parent_of
from shoal_worker.lab.layout import enter
from shoal_worker.udhcpc_leases import UdhcpcLeases

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

AGENT = """
import asyncio, json, sys
from pathlib import Path
from shoal_worker.udhcpc_leases import UdhcpcLeases
leases = UdhcpcLeases(Path(sys.argv[1]))
async def rounds():
    for _ in range(3):  # they may follow one another at once
        await leases.ensure(frozenset(sys.argv[2:]))
asyncio.run(rounds())
print(json.dumps([leases.address("tap0"), leases.trouble("tap0")]))
"""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A network namespace with the tap `tap0`, another one with a DHCP server at its other end."""
    names = [f"shoal-dhcp-{secrets.token_hex(3)}-{end}" for end in "cs"]
    client, server = names
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
        ip("link", "add", "tap0", "netns", client, "type", "veth", "peer", "name", "srv0", "netns", server)
        ip("link", "set", "tap0", "up", netns=client)
        ip("link", "set", "srv0", "up", netns=server)
        ip("address", "add", "10.9.0.1/24", "dev", "srv0", netns=server)
        (tmp_path / "leases").touch()
        config = tmp_path / "udhcpd.conf"
        config.write_text(
            f"start 10.9.0.50\nend 10.9.0.50\ninterface srv0\nlease_file {tmp_path}/leases\n"
            f"pidfile {tmp_path}/udhcpd.pid\noption subnet 255.255.255.0\noption router 10.9.0.1\n"
            "option dns 10.9.0.1\n"
        )
        daemon = subprocess.Popen(
            [*enter(server), "busybox", "udhcpd", "-f", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(daemon.wait, 20)
        stack.callback(daemon.terminate)
        yield client, tmp_path / "dhcp"
        ensure(client, tmp_path / "dhcp")
        wait_until(lambda: not clients(tmp_path / "dhcp"), "the client ends")


def ensure(netns: str, folder: Path, *taps: str) -> tuple[str, str]:
    """What a worker in that network namespace does in one round: the tap's address, and what is wrong."""
    argv = [*enter(netns), sys.executable, "-c", AGENT, str(folder), *taps]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)
    address, trouble = json.loads(done.stdout)
    return address, trouble


def clients(folder: Path) -> list[int]:
    """The processes that are clients of that folder; those that one has just forked, to run its script, are none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"udhcpc" in words and any(word.startswith(os.fsencode(f"{folder}/")) for word in words):
            found.append(int(path.parent.name))
    return [pid for pid in found if parent_of(pid) not in found]


def test_life_of_a_lease(place: tuple[str, Path]) -> None:
    """A tap gets its address and nothing else; the next worker finds the client; without it nothing is left."""
    netns, folder = place
    resolver = Path("/etc/resolv.conf").read_bytes() if Path("/etc/resolv.conf").exists() else b""
    assert ensure(netns, folder, "tap0")[1] == ""
    wait_until(lambda: ensure(netns, folder, "tap0")[0] == "10.9.0.50/24", "an address")
    assert "10.9.0.50/24" in ip("-4", "address", "show", "dev", "tap0", netns=netns)
    assert "default" not in ip("route", netns=netns)
    assert (Path("/etc/resolv.conf").read_bytes() if resolver else b"") == resolver
    running = clients(folder)
    assert len(running) == 1
    ensure(netns, folder, "tap0")
    assert clients(folder) == running
    ensure(netns, folder)
    wait_until(lambda: not clients(folder), "the client ends")
    wait_until(lambda: "10.9.0.50" not in ip("address", "show", "dev", "tap0", netns=netns), "no address")
    assert ensure(netns, folder)[0] == ""


def test_a_client_is_known_by_itself(place: tuple[str, Path]) -> None:
    """A client that runs is found again whatever has become of the files beside it, and no second one is started."""
    netns, folder = place
    ensure(netns, folder, "tap0")
    (first,) = wait_until(lambda: clients(folder), "a client")
    for path in folder.iterdir():
        path.unlink()
    ensure(netns, folder, "tap0")
    assert clients(folder) == [first]


def test_a_client_that_was_killed_is_started_again(place: tuple[str, Path]) -> None:
    """A client that died is replaced, and the tap keeps an address."""
    netns, folder = place
    ensure(netns, folder, "tap0")
    wait_until(lambda: ensure(netns, folder, "tap0")[0] != "", "an address")
    (killed,) = clients(folder)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in clients(folder), "it is dead")
    ensure(netns, folder, "tap0")
    (again,) = wait_until(lambda: clients(folder), "another client")
    assert again != killed
    wait_until(lambda: "10.9.0.50/24" in ip("address", "show", "dev", "tap0", netns=netns), "the address")
    assert clients(folder) == [again]


async def test_a_client_that_is_about_to_run_its_script_is_one(tmp_path: Path) -> None:
    """Between fork and exec a client is two processes with the same arguments: none of them is ended as a second one."""
    (tmp_path / "udhcpc").write_text(
        "import os, time; os.fork(); print(os.getpid(), flush=True); time.sleep(600)"
    )
    argv = ["busybox", "udhcpc", "-i", "tap0", "-s", str(tmp_path / "dhcp" / "udhcpc.sh")]
    with subprocess.Popen(
        argv, executable=sys.executable, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        both = [int(client.stdout.readline()) for _ in range(2)]
        try:
            await UdhcpcLeases(tmp_path / "dhcp").ensure(frozenset({"tap0"}))
            assert [alive(pid) for pid in both] == [True, True]
            assert clients(tmp_path / "dhcp") == [client.pid]
        finally:
            for pid in both:
                os.kill(pid, signal.SIGKILL)
