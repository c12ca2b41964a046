"""Real recordings of the loopback interface: what they hold, how they end, and what is refused."""

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.waiting import eventually

from shoal.errors import InvalidRequest, Refused
from shoal_worker.tcpdump_recorder import TcpdumpRecorder

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
MAGIC = bytes.fromhex("d4c3b2a1")
DEADLINE_S = 30


@pytest.fixture
def recorder(request, tmp_path):
    """Recordings in a folder of the test's own; at its end none is left."""
    if os.geteuid() != 0 or not shutil.which("tcpdump"):
        if request.config.getoption("--strict-env"):
            pytest.fail("root and tcpdump are needed, and --strict-env allows no skips")
        pytest.skip("root and tcpdump are needed")
    return TcpdumpRecorder(tmp_path / "captures")


def send(text):
    """Send a datagram over loopback to a port that somebody holds; the port."""
    with socket.socket(type=socket.SOCK_DGRAM) as there, socket.socket(type=socket.SOCK_DGRAM) as here:
        there.bind(("127.0.0.1", 0))
        here.sendto(text, there.getsockname())
        return there.getsockname()[1]


async def written(recording, text):
    """Wait until tcpdump has taken a packet with that text from the kernel, which takes a moment."""

    async def there():
        return text in Path(recording.path).read_bytes()

    await eventually(there, f"a packet with {text!r}")


async def content(recorder, recording):
    return b"".join([part async for part in recorder.read(recording)])


async def test_what_passes_is_in_the_file_when_it_ends(recorder):
    """A packet is in the file while tcpdump goes on, and after it; one sent before the start or after the end is not."""
    send(b"too early")
    recording = await recorder.start("k", "lo", expression="udp")
    try:
        assert recorder.runs(recording)
        send(b"just in time")
        await written(recording, b"just in time")
    finally:
        ended = await recorder.end(recording)
    send(b"too late")
    assert ended.ran
    assert "captured" in ended.said
    assert not recorder.runs(recording)
    assert not (await recorder.end(recording)).ran
    body = await content(recorder, recording)
    assert body.startswith(MAGIC)
    assert b"just in time" in body
    assert b"too" not in body
    await recorder.remove(recording)
    assert not list((recorder._folder).iterdir())


async def test_filter_and_snaplen_bound_what_is_kept(recorder):
    """Packets that the filter leaves out are not there, and of the others no more bytes than snaplen."""
    recording = await recorder.start("k", "lo", snaplen=60, expression="udp and not port 9")
    try:
        port = send(b"x" * 500)
        await written(recording, b"xxx")
    finally:
        await recorder.end(recording)
    body = await content(recorder, recording)
    assert port.to_bytes(2, "big") in body
    assert 0 < body.count(b"x") <= 60


async def test_a_filter_that_is_none_is_refused(recorder, tmp_path):
    """A bad filter is refused in tcpdump's words, before anything is begun; options cannot be smuggled in."""
    with pytest.raises(InvalidRequest, match="invalid filter `icmp oor`: can't parse filter expression"):
        await recorder.check("icmp oor")
    with pytest.raises(InvalidRequest, match="invalid filter"):
        await recorder.start("k", "lo", expression=f"-w {tmp_path / 'x'}")
    await recorder.check("icmp or (port 80)")
    assert not (tmp_path / "x").exists()


async def test_what_is_no_capture_is_not_overwritten(recorder, tmp_path):
    """A path with another file stays as it is; an older capture is replaced; /dev/null may be written to."""
    mine, old = tmp_path / "mine", tmp_path / "old.pcap"
    mine.write_text("mine")
    old.write_bytes(MAGIC + b"old")
    with pytest.raises(Refused, match="a file is there that is no capture"):
        await recorder.start("a", "lo", path=str(mine))
    assert mine.read_text() == "mine"
    for path in (str(old), "/dev/null"):
        recording = await recorder.start("b", "lo", path=path)
        await recorder.end(recording)
        await recorder.remove(recording)
    assert old.read_bytes().startswith(MAGIC)
    assert b"old" not in old.read_bytes()
    with pytest.raises(Refused, match=r"No such device"):
        await recorder.start("c", "nosuch0")
    with pytest.raises(Refused, match="No such file or directory"):
        await recorder.start("d", "lo", path=str(tmp_path / "none" / "x.pcap"))


async def test_a_death_is_noticed(recorder):
    """Whoever watches is told when the process is killed, and at once when it is dead already."""
    recording = await recorder.start("k", "lo")
    told = asyncio.Event()
    recorder.watch(recording, told.set)
    os.kill(recording.pid, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_S):
        await told.wait()
    assert not recorder.runs(recording)
    again = asyncio.Event()
    recorder.watch(recording, again.set)
    async with asyncio.timeout(DEADLINE_S):
        await again.wait()
    assert (await content(recorder, recording)).startswith(MAGIC)


async def test_another_process_of_that_number_is_left_alone(recorder):
    """A recording whose process is gone does not run because another process has its number, nor is that one ended."""
    recording = await recorder.start("k", "lo")
    stranger = type(recording)(
        pid=os.getpid(), started=recording.started, path=recording.path, log=recording.log
    )
    try:
        assert not recorder.runs(stranger)
        await recorder.end(stranger)
    finally:
        await recorder.end(recording)


async def test_what_nobody_knows_of_is_ended(recorder, tmp_path):
    """A recording whose worker died before it wrote it down ends, and its draft goes; a known one goes on, as does another host's."""
    theirs = TcpdumpRecorder(tmp_path / "other")
    mine = str(tmp_path / "mine.pcap")
    known, lost, at_path = (
        await recorder.start("known", "lo"),
        await recorder.start("lost", "lo"),
        await recorder.start("at-path", "lo", path=mine),
    )
    other = await theirs.start("lost", "lo")
    try:
        gone = replace(known, pid=0, path=str(tmp_path / "gone.pcap"))
        assert await recorder.tidy([known, gone]) == [gone]
        assert [theirs.runs(other), *map(recorder.runs, (known, lost, at_path))] == [True, True, False, False]
        assert sorted(path.name for path in recorder._folder.iterdir()) == ["known.log", "known.pcap"]
        assert Path(mine).read_bytes().startswith(MAGIC)
    finally:
        for recording in (known, lost, at_path, other):
            await recorder.end(recording)
