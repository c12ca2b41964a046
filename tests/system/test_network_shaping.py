"""Shaping and mirroring on the real kernel: frames through taps of one segment, in a network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.system.network_rig import Host, host_namespaces

from shoal.core.ifnames import host_tap_inner
from shoal.core.qos import Shaping
from shoal_worker.lab.layout import enter
from shoal_worker.network import GuestTap, HostTap, Links, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.root

SEGMENT = Segment(segment="shp-shaped")
SENDER = HostTap(tap="sender", segment=SEGMENT.segment, ip="10.9.0.1/24")
FAST = Shaping(rate_bit_s=4_000_000)

#: holds the tap of the first argument open, as QEMU does, for the seconds of the second, and counts what arrives
HOLDER = """
import fcntl, os, select, struct, sys, time
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", sys.argv[1].encode(), 0x1002))
print("held", flush=True)
octets, end = 0, time.monotonic() + float(sys.argv[2])
while (left := end - time.monotonic()) > 0:
    if select.select([tap], [], [], left)[0]:
        frame = os.read(tap, 70000)
        octets += len(frame) if frame[12:14] == b"\\x88\\xb5" else 0
print(octets, flush=True)
"""
#: sends frames of 1,000 octets out of the interface of the first argument for the seconds of the second
FLOOD = """
import socket, sys, time
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((sys.argv[1], 0))
frame = b"\\xff" * 6 + b"\\x02\\0\\0\\0\\0\\x09" + b"\\x88\\xb5" + bytes(986)
sent, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    for _ in range(20):
        sent += out.send(frame)
    time.sleep(0.001)
print(sent, flush=True)
"""


@pytest.fixture
def host(need: Callable[[str, bool], None]) -> Iterator[Host]:
    """A host, as a network namespace."""
    need("root", os.geteuid() == 0)
    with host_namespaces(need) as found:
        yield found["a"]


def links(shaping: Shaping = Shaping(), copies: frozenset[str] = frozenset()) -> Links:  # noqa: B008  # a frozen value
    """A host tap that sends, and the guest taps `shaped` and `other`, in one segment. `copies` are the sender's."""
    return Links(
        segments={SEGMENT.segment: SEGMENT},
        guest_taps={
            "shaped": GuestTap(tap="shaped", segment=SEGMENT.segment, shaping=shaping),
            "other": GuestTap(tap="other", segment=""),
        },
        host_taps={"sender": msgspec.structs.replace(SENDER, copies=copies)},
    )


def run(host: Host, program: str, *words: str) -> subprocess.Popen[str]:
    """Start a Python program inside the host."""
    return subprocess.Popen(
        [*enter(host.netns), sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True
    )


def received(host: Host, tap: str, out: str = "sender") -> int:
    """How many octets reach the holder of a tap, while an interface sends for two seconds."""
    holder = run(host, HOLDER, tap, "4")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    flood = run(host, FLOOD, out, "2")
    sent = int(flood.communicate(timeout=60)[0])
    assert sent > 0
    return int(holder.communicate(timeout=60)[0])


def test_a_rate_limits_what_goes_to_the_guest(host: Host) -> None:
    """Of a flood a limited tap lets through what its rate allows, an unlimited one far more."""
    host.apply(links())
    free = received(host, "shaped")
    assert host.apply(links(Shaping(rate_bit_s=1_000_000))).links == links(Shaping(rate_bit_s=1_000_000))
    limited = received(host, "shaped")
    # two seconds of flood, and what the queue still holds at its end
    assert 20_000 < limited < 400_000
    assert free > 4 * limited
    assert host.apply(links()).links == links()
    assert received(host, "shaped") > 4 * limited


def test_a_rate_changes_under_a_running_guest(host: Host) -> None:
    """The tap's holder keeps its tap while the rate is set, changed and removed."""
    host.apply(links())
    holder = run(host, HOLDER, "shaped", "5")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    for shaping in (FAST, Shaping(rate_bit_s=64_000), FAST, Shaping()):
        assert host.apply(links(shaping)).links == links(shaping)
    flood = run(host, FLOOD, "sender", "1")
    flood.communicate(timeout=60)
    assert int(holder.communicate(timeout=60)[0]) > 0


def test_shaping_that_somebody_removed_is_mended(host: Host) -> None:
    """A removed queue discipline is seen and set again; what is right costs nothing."""
    host.apply(links(FAST))
    assert host.apply(links(FAST)).actions == 0
    host.tc("qdisc", "del", "dev", "shaped", "root")
    assert host.observe() != links(FAST)
    assert host.apply(links(FAST)).links == links(FAST)


def test_netem_works_or_is_named(host: Host) -> None:
    """Loss and delay are set where the kernel has netem; else the refusal names it, and the tap is sound."""
    lossy = links(Shaping(loss_ppm=50_000, delay_us=100_000))
    answer = host.attempt(lossy)
    if answer.error:
        assert answer.error == (
            "the kernel cannot lose or delay packets: it has no queue discipline netem; "
            "try `modprobe sch_netem` there"
        )
        assert host.attempt(links()).links == links()
    else:
        assert answer.links == lossy
        assert host.apply(links(FAST)).links == links(FAST)


def test_a_mirror_copies_both_directions(host: Host) -> None:
    """What a tap sends and receives reaches the mirror's target, and nothing does when the mirror is gone."""
    mirrored = links(copies=frozenset({"other"}))
    assert host.apply(mirrored).links == mirrored
    assert host.apply(mirrored).actions == 0
    assert received(host, "other") > 0
    # frames that the segment sends to the host tap: another port of the bridge floods them
    host.ip("link", "add", "noise", "type", "veth", "peer", "noise-in")
    for name in ("noise", "noise-in"):
        host.ip("link", "set", name, "up")
    host.ip("link", "set", "noise-in", "master", SEGMENT.segment)
    assert received(host, "other", out="noise") > 0
    assert host.apply(links()).links == links()
    assert received(host, "other") == 0


def test_a_mirror_is_mended(host: Host) -> None:
    """A filter that somebody removed, or a target that was made anew, is noticed and put right."""
    mirrored = links(copies=frozenset({"other"}))
    host.apply(mirrored)
    inner = host_tap_inner("sender")
    for damage in (
        ("filter", "del", "dev", inner, "ingress"),
        ("qdisc", "del", "dev", inner, "clsact"),
    ):
        host.tc(*damage)
        assert host.observe() != mirrored, damage
        assert host.apply(mirrored).links == mirrored, damage
    host.ip("link", "del", "other")
    assert host.observe() != mirrored
    host.apply(mirrored)
    assert host.apply(mirrored).links == mirrored


def test_a_mirror_of_a_guest_to_a_host_tap(host: Host) -> None:
    """A host tap as the target gets the frames at its outer end, where a capture sees them."""
    mirrored = Links(
        segments={SEGMENT.segment: SEGMENT},
        guest_taps={"shaped": GuestTap(tap="shaped", segment=SEGMENT.segment, copies=frozenset({"watch"}))},
        host_taps={"sender": SENDER, "watch": HostTap(tap="watch", segment="")},
    )
    host.apply(mirrored)
    assert host.apply(mirrored).links == mirrored
    before = counted(host, "watch")
    holder = run(host, HOLDER, "shaped", "3")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    run(host, FLOOD, "sender", "1").communicate(timeout=60)
    holder.communicate(timeout=60)
    assert counted(host, "watch") > before


def counted(host: Host, name: str) -> int:
    """The octets that an interface has received."""
    return int(
        subprocess.run(
            [*enter(host.netns), "cat", "/proc/net/dev"],
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        .stdout.partition(f"{name}:")[2]
        .split()[0]
    )


def test_foreign_disciplines_stay(host: Host) -> None:
    """A queue discipline on our tap that we did not set is left alone when nothing is to be shaped."""
    host.apply(links())
    host.tc("qdisc", "add", "dev", "shaped", "root", "handle", "7:", "pfifo")
    assert host.apply(links()).actions == 0
    assert "pfifo 7:" in host.tc("qdisc", "show", "dev", "shaped")
