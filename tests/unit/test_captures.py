"""The captures of a host: begun, listed by the next worker too, ended with their links, kept until collected."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from shoal.bus.memory_blobs import MemoryBlobs
from shoal.errors import Conflict, InvalidRequest, Refused
from shoal.messages.capture_requests import Capture
from shoal_worker.capture_book import CaptureBook, Kept
from shoal_worker.captures import Captures
from shoal_worker.packet_recorder import End, Recording
from shoal_worker.shelving import shelve_parts
from shoal_worker.simulated_recorder import SimulatedRecorder

TAP = "sht-a-0"


def capture(key: str = "c1", **more: object) -> Capture:
    made = Capture(
        id=key, namespace="red", bridge="lan", vlan=5, interface=TAP, vm="web1", name=f"{key}.pcap"
    )
    return replace(made, **more)


def held(recorder: SimulatedRecorder, book: CaptureBook) -> Captures:
    return Captures(recorder, book, structlog.get_logger())


@pytest.fixture
def recorder() -> SimulatedRecorder:
    """What outlives a worker."""
    return SimulatedRecorder()


@pytest.fixture
def book(tmp_path: Path) -> CaptureBook:
    """A list on disk."""
    return CaptureBook(tmp_path / "state" / "captures.json")


async def test_the_next_worker_finds_what_runs_and_ends_it(
    recorder: SimulatedRecorder, book: CaptureBook
) -> None:
    """A worker that begins anew lists the captures of the last one, and ends them whole when asked."""
    await held(recorder, book).start(capture())
    again = held(recorder, book)
    await again.open()
    assert again.listed() == (capture(),)
    (ended,) = await again.end(["c1", "unknown"])
    assert (ended.capture.state, ended.capture.partial) == ("ended", False)
    assert again.ended == 1
    third = held(recorder, book)
    await third.open()
    assert [kept.capture.state for kept in third.waiting()] == ["ended"]
    await third.forget(["c1"])
    assert third.count == 0
    assert recorder.files == {}
    assert await book.read() == ()


async def test_what_died_is_partial(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """A capture whose recording ends by itself is marked at once, stays listed, and is partial when it is ended."""
    captures = held(recorder, book)
    await captures.start(capture())
    (kept,) = await book.read()
    recorder.die(kept.recording.pid)
    (seen,) = captures.listed()
    assert (seen.state, captures.ended) == ("died", 0)
    assert seen.reason
    (ended,) = await captures.end(["c1"])
    assert ended.capture.partial
    assert ended.capture.reason


async def test_what_died_while_no_worker_was_there_is_partial(
    recorder: SimulatedRecorder, book: CaptureBook
) -> None:
    """A recording that is gone when the next worker comes is not taken for a whole one."""
    await held(recorder, book).start(capture())
    (kept,) = await book.read()
    recorder.die(kept.recording.pid)
    again = held(recorder, book)
    await again.open()
    (ended,) = await again.end(["c1"])
    assert ended.capture.partial


async def test_a_partial_file_of_the_users_is_renamed(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """A file at a path of the host that is partial says so by its name; a whole one keeps its name, both stay."""
    captures = held(recorder, book)
    await captures.start(capture("c1", name="", path="/tmp/a.pcap"))
    await captures.start(capture("c2", name="", path="/tmp/b.pcap"))
    recorder.die((await book.read())[0].recording.pid)
    await captures.end(["c1", "c2"])
    await captures.forget(["c1", "c2"])
    assert sorted(recorder.files) == ["/tmp/a.partial.pcap", "/tmp/b.pcap"]


async def test_a_link_that_goes_ends_its_captures(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """Captures of links that are about to be removed end whole and wait to be collected; others go on."""
    captures = held(recorder, book)
    await captures.start(capture("c1"))
    await captures.start(capture("c2", interface="shb-1-5"))
    await captures.leave({TAP, "other"})
    assert {each.id: each.state for each in captures.listed()} == {"c1": "ended", "c2": "running"}
    assert [kept.capture.partial for kept in captures.waiting()] == [False]


async def test_only_dead_captures_of_missing_links_are_over(
    recorder: SimulatedRecorder, book: CaptureBook
) -> None:
    """What died with its link waits to be collected; what still runs is left alone, though its link is not seen yet."""
    captures = held(recorder, book)
    await captures.start(capture("c1"))
    await captures.missing(set())
    assert [each.state for each in captures.listed()] == ["running"]
    recorder.die((await book.read())[0].recording.pid)
    await captures.missing({TAP})
    assert [each.state for each in captures.listed()] == ["died"]
    await captures.missing(set())
    assert [(kept.capture.id, kept.capture.partial) for kept in captures.waiting()] == [("c1", True)]


async def test_what_cannot_begin_leaves_nothing(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """A path that another capture writes to, and a bad filter, are refused, and nothing is listed or written."""
    captures = held(recorder, book)
    await captures.start(capture("c1", name="", path="/tmp/a.pcap"))
    with pytest.raises(Conflict, match="another capture on this host writes to it"):
        await captures.start(capture("c2", name="", path="/tmp/a.pcap"))
    with pytest.raises(InvalidRequest, match="invalid filter"):
        await captures.start(capture("c3", filter="(icmp"))
    await captures.start(capture("c4", name="", path="/dev/null"))
    await captures.start(capture("c5", name="", path="/dev/null"))
    assert [each.id for each in captures.listed()] == ["c1", "c4", "c5"]
    assert "/simulated/c3.pcap" not in recorder.files


async def test_what_cannot_be_written_down_is_not_begun(recorder: SimulatedRecorder, tmp_path: Path) -> None:
    """Without a place for the list no recording stays: nobody would find it again."""
    (tmp_path / "file").write_text("")
    captures = held(recorder, CaptureBook(tmp_path / "file" / "captures.json"))
    with pytest.raises(Refused, match="cannot write the list of captures"):
        await captures.start(capture())
    assert captures.count == 0
    assert recorder.files == {}


async def test_a_full_disk_gets_room_again(
    recorder: SimulatedRecorder, book: CaptureBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was collected is removed although the list cannot be written: its content may be what fills the disk."""
    captures = held(recorder, book)
    await captures.start(capture())
    await captures.end(["c1"])

    async def full(_: object) -> None:
        raise Refused("no space left on device")

    monkeypatch.setattr(book, "write", full)
    with pytest.raises(Refused, match="no space left"):
        await captures.forget(["c1"])
    assert recorder.files == {}


async def test_links_without_captures_wait_for_none(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """Links that nobody captures are removed at once, although a capture takes long to begin elsewhere."""
    captures = held(recorder, book)
    await captures.start(capture("c1"))
    begin, begins, go = recorder.start, asyncio.Event(), asyncio.Event()

    async def slow(*arguments: str, **more: object) -> Recording:
        begins.set()
        await go.wait()
        return await begin(*arguments, **more)  # type: ignore[arg-type]  # as it was called

    recorder.start = slow  # type: ignore[method-assign]
    starting = asyncio.create_task(captures.start(capture("c2")))
    await begins.wait()
    async with asyncio.timeout(5):
        await captures.leave({"other"})
        await captures.leave(set())
    go.set()
    await starting
    assert captures.count == 2


async def test_a_damaged_list_is_told(recorder: SimulatedRecorder, tmp_path: Path) -> None:
    """A list that cannot be read is an error that names the file: captures are not forgotten silently."""
    (tmp_path / "captures.json").write_text("[{")
    with pytest.raises(Refused, match=r"cannot read the list of captures .*captures\.json"):
        await held(recorder, CaptureBook(tmp_path / "captures.json")).open()


async def test_content_is_shelved_once(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """What a capture came to is in the store under its digest, with its size; a second time nothing is sent."""
    captures, blobs, told = held(recorder, book), MemoryBlobs(), []
    await captures.start(capture())
    (kept,) = await captures.end(["c1"])

    async def shelve() -> tuple[str, int]:
        content = await shelve_parts(
            blobs, lambda: recorder.read(kept.recording), "c1.pcap", lambda *step: told.append(step)
        )
        return content.digest, content.size

    digest, size = await shelve()
    assert blobs.content == {digest: recorder.files[kept.recording.path]}
    assert size == len(blobs.content[digest]) == 24
    assert any("putting c1.pcap" in text for _, _, text in told)
    told.clear()
    assert await shelve() == (digest, size)
    assert not any("putting" in text for _, _, text in told)


async def test_what_is_asked_for_twice_is_begun_once(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """A question that comes again begins no second recording, which nobody would ever end."""
    captures = held(recorder, book)
    await captures.start(capture())
    (kept,) = await book.read()
    await captures.start(capture())
    assert await book.read() == (kept,)
    await captures.end(["c1"])
    await captures.forget(["c1"])
    assert not recorder.files


async def test_what_was_not_written_down_is_ended(recorder: SimulatedRecorder, book: CaptureBook) -> None:
    """A worker that died between the start and its list leaves a recording that nobody knows: the next one ends it."""
    await held(recorder, book).start(capture("known"))
    lost = await recorder.start("lost", TAP)
    again = held(recorder, book)
    await again.open()
    (known,) = await book.read()
    assert (await recorder.end(lost)).ran is False
    assert list(recorder.files) == [known.recording.path]
    assert (await recorder.end(known.recording)).ran


async def test_a_death_that_nobody_noticed_is_seen_at_the_end(
    recorder: SimulatedRecorder, book: CaptureBook
) -> None:
    """What is over when it is told to end has died before: the capture is partial."""
    captures = held(recorder, book)
    await captures.start(capture())
    await recorder.end((await book.read())[0].recording)
    (ended,) = await captures.end(["c1"])
    assert ended.capture.partial


class Lingering(SimulatedRecorder):
    """Takes long to write what it has, and tells whoever watches that the process ends."""

    def __init__(self) -> None:
        super().__init__()
        self.told, self.written = asyncio.Event(), asyncio.Event()

    async def end(self, recording: Recording) -> End:
        self._watching[recording.pid]()
        self.told.set()
        await self.written.wait()
        return await super().end(recording)


async def test_what_is_being_ended_is_not_collected(book: CaptureBook) -> None:
    """Only when all is in its file a capture waits to be collected: before that its end would be missing, unseen.

    That its process ends when it is told to is no death.
    """
    recorder = Lingering()
    captures = held(recorder, book)
    await captures.start(capture())
    ending = asyncio.create_task(captures.end(["c1"]))
    await recorder.told.wait()
    assert (captures.ended, captures.waiting()) == (0, [])
    assert captures.listed() == (capture(),)
    recorder.written.set()
    (ended,) = await ending
    assert (captures.waiting(), ended.capture.partial) == ([ended], False)


class FullBook(CaptureBook):
    """A list on a disk that gets full."""

    full = False

    async def write(self, kept: tuple[Kept, ...]) -> None:
        if self.full:
            raise Refused("cannot write the list of captures: no space left on device")
        await super().write(kept)


async def test_what_was_forgotten_without_room_is_not_collected_again(
    recorder: SimulatedRecorder, tmp_path: Path
) -> None:
    """The draft goes though the list cannot be written; the next worker does not look for it for ever."""
    book = FullBook(tmp_path / "captures.json")
    captures = held(recorder, book)
    await captures.start(capture())
    await captures.start(capture("c2", name="", path="/tmp/x.pcap"))
    await captures.end(["c1", "c2"])
    book.full = True
    with pytest.raises(Refused):
        await captures.forget(["c1"])
    book.full = False
    again = held(recorder, book)
    await again.open()
    assert [kept.capture.id for kept in again.waiting()] == ["c2"]
