"""Hosts as network namespaces with an underlay between them, and in each an agent that applies `Links`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from shoal_worker.lab.layout import enter
from shoal_worker.network import Links

AGENT = [sys.executable, str(Path(__file__).with_name("network_agent.py"))]
UNDERLAY = {"a": "10.77.0.1", "b": "10.77.0.2"}


class Answer(msgspec.Struct):
    """What the agent (network_agent.py) answers; see there."""

    links: Links
    actions: int
    seconds: float
    lag_s: float
    error: str


def ip(*words: str, netns: str = "") -> str:
    """Run iproute2, in a network namespace if one is named, and return what it prints."""
    return subprocess.run(
        [*enter(netns), "ip", *words], check=True, capture_output=True, text=True, timeout=30
    ).stdout


class Host:
    """A network namespace and the agent inside it, which is started when it is first asked."""

    def __init__(self, netns: str) -> None:
        self.netns = netns
        self._agent: subprocess.Popen[bytes] | None = None

    def _ask(self, do: str, links: Links) -> Answer:
        if self._agent is None:
            self._agent = subprocess.Popen(
                [*enter(self.netns), *AGENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self._agent.stdin is not None
        assert self._agent.stdout is not None
        self._agent.stdin.write(msgspec.json.encode({"do": do, "links": links}) + b"\n")
        self._agent.stdin.flush()
        return msgspec.json.decode(self._agent.stdout.readline(), type=Answer)

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.communicate(timeout=20)

    def observe(self) -> Links:
        return self._ask("observe", Links()).links

    def attempt(self, links: Links) -> Answer:
        """Apply what is given, until something is refused."""
        return self._ask("apply", links)

    def apply(self, links: Links) -> Answer:
        """Make the host's links what is given, without any refusal."""
        answer = self.attempt(links)
        assert not answer.error
        return answer

    def ip(self, *words: str) -> str:
        return ip(*words, netns=self.netns)

    def tc(self, *words: str) -> str:
        return subprocess.run(
            [*enter(self.netns), "tc", *words], check=True, capture_output=True, text=True, timeout=30
        ).stdout

    def names(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.ip("-j", "link"))}

    def ping(self, address: str, *options: str) -> bool:
        """Whether `address` answers from here within three seconds (busybox keeps to -W, not to -w)."""
        command = [
            *enter(self.netns),
            "busybox",
            "ping",
            "-c",
            "1",
            "-W",
            "3",
            *options,
            address,
        ]
        return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode == 0


@contextmanager
def host_namespaces(need: Callable[[str, bool], None]) -> Iterator[dict[str, Host]]:
    """Hosts `a` and `b`, joined by an underlay with an MTU of 1500; nothing of them remains afterwards."""
    need("root", os.geteuid() == 0)
    for tool in ("ip", "busybox"):
        need(tool, shutil.which(tool) is not None)
    prefix = f"shoaltest-{os.getpid()}"
    with ExitStack() as stack:
        for name in UNDERLAY:
            ip("netns", "add", f"{prefix}-{name}")
            stack.callback(ip, "netns", "del", f"{prefix}-{name}")
            ip("link", "set", "lo", "up", netns=f"{prefix}-{name}")
        ip(
            "link",
            "add",
            "under0",
            "type",
            "veth",
            "peer",
            "under0",
            "netns",
            f"{prefix}-b",
            netns=f"{prefix}-a",
        )
        for name, address in UNDERLAY.items():
            ip("addr", "add", f"{address}/24", "dev", "under0", netns=f"{prefix}-{name}")
            ip("link", "set", "under0", "up", netns=f"{prefix}-{name}")
        found = {name: Host(f"{prefix}-{name}") for name in UNDERLAY}
        for host in found.values():
            stack.callback(host.stop)
        yield found
