"""What a host finds of its network, in network namespaces: MTU, peers that answer, are silent or cut off, br_netfilter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.system.network_rig import UNDERLAY, Host, host_namespaces

from shoal.messages.health_requests import HostHealth
from shoal_worker.lab.layout import enter

LOOK = """
import asyncio, random, sys, msgspec
from shoal_worker.linux_health import LinuxHealth
found = asyncio.run(LinuxHealth((), random.Random(1)).look(sys.argv[1:]))
sys.stdout.buffer.write(msgspec.json.encode(found))
"""
SWITCH = "bridge-nf-call-iptables"


@pytest.fixture(name="hosts")
def _hosts(need) -> Iterator[dict[str, Host]]:
    with host_namespaces(need) as hosts:
        yield hosts


def look(host: Host, *peers: str) -> HostHealth:
    done = subprocess.run(
        [*enter(host.netns), sys.executable, "-c", LOOK, *peers], check=True, capture_output=True, timeout=60
    )
    return msgspec.json.decode(done.stdout, type=HostHealth)


def test_a_peer_that_answers(hosts: dict[str, Host]) -> None:
    """It is neither silent nor cut off, and the MTU is that of the way to it."""
    found = look(hosts["a"], UNDERLAY["b"])
    assert (found.mtu, found.silent, found.cut_off, found.unasked) == (1500, (), {}, "")
    for host in hosts.values():
        host.ip("link", "set", "under0", "mtu", "1600")
    try:
        assert look(hosts["a"], UNDERLAY["b"]).mtu == 1600
    finally:
        for host in hosts.values():
            host.ip("link", "set", "under0", "mtu", "1500")


def test_a_peer_that_is_silent_and_one_without_a_way(hosts: dict[str, Host]) -> None:
    """Nobody has the first address; no route leads to the second; who answers is known beside them."""
    found = look(hosts["a"], "10.77.0.99", "192.0.2.1", UNDERLAY["b"])
    assert found.silent == ("10.77.0.99",)
    assert found.cut_off == {"192.0.2.1": "Network is unreachable"}


def test_the_switch_of_the_hosts_own_namespace_is_read(hosts: dict[str, Host], need) -> None:
    """It is on or off for each network namespace by itself."""
    need("br_netfilter", Path("/proc/sys/net/bridge", SWITCH).exists())
    for value, expected in (("1", True), ("0", False)):
        write = ["sh", "-c", f"echo {value} > /proc/sys/net/bridge/{SWITCH}"]
        subprocess.run([*enter(hosts["a"].netns), *write], check=True, timeout=30)
        assert (SWITCH in look(hosts["a"]).filters) is expected
