"""What a host finds of itself: switches of br_netfilter, room on disks, and pings as bytes."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

from shoal_worker.core.echo_messages import answers, echo_request
from shoal_worker.linux_health import LinuxHealth

HEADER_4 = bytes([0x45, *[0] * 19])


def test_a_request_has_a_checksum_that_adds_up() -> None:
    """RFC 1071: the sum over a message with its checksum is all ones. With IPv6 the kernel writes it."""
    request = echo_request(0xBEEF, 7, ipv6=False)
    assert sum(struct.unpack("!4H", request)) % 0xFFFF == 0
    assert request[0] == 8
    assert echo_request(1, 1, ipv6=True)[:4] == bytes([128, 0, 0, 0])


def test_only_replies_to_our_requests_answer() -> None:
    """Not a reply to another's, not the request itself (a raw socket hears all), not half a packet."""
    reply_4, reply_6 = struct.pack("!BBHHH", 0, 0, 0, 5, 0), struct.pack("!BBHHH", 129, 0, 0, 5, 0)
    assert answers(HEADER_4 + reply_4, 5, ipv6=False)
    assert answers(reply_6, 5, ipv6=True)
    assert not answers(HEADER_4 + reply_4, 6, ipv6=False)
    assert not answers(HEADER_4 + echo_request(5, 0, ipv6=False), 5, ipv6=False)
    for broken in (b"", HEADER_4, HEADER_4 + reply_4[:5], b"\x00" * 40):
        assert not answers(broken, 5, ipv6=False)


async def test_switches_and_room_are_read(tmp_path: Path) -> None:
    """Switches that are on; a directory that is to come counts where it will be; without the module there are none."""
    switches = tmp_path / "sys/net/bridge"
    switches.mkdir(parents=True)
    (switches / "bridge-nf-call-iptables").write_text("1\n")
    (switches / "bridge-nf-call-ip6tables").write_text("0\n")
    host = LinuxHealth((tmp_path / "not/yet",), random.Random(1), proc=tmp_path)
    found = await host.look(())
    assert found.filters == ("bridge-nf-call-iptables",)
    [disk] = found.disks
    there = os.statvfs(tmp_path)
    assert disk.path == str(tmp_path / "not/yet")
    assert disk.size == there.f_blocks * there.f_frsize
    assert 0 < disk.free <= disk.size
    assert (await LinuxHealth((), random.Random(1), proc=tmp_path / "none").look(())).filters == ()


async def test_an_address_that_is_none_is_told() -> None:
    """It is no reason to learn nothing of the others."""
    found = await LinuxHealth((), random.Random(1)).look(("nonsense",))
    assert "nonsense" in found.cut_off["nonsense"]
