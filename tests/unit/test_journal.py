"""The journal on disk: what was flushed is there again, whatever happened to the end of the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.messages.desired import State
from shoal_worker.core.actions import Outcome, TapOutcome
from shoal_worker.core.leaders import Seen
from shoal_worker.journal import Entry, FileJournal, JournalError, _line


def outcome(instance: str = "i1", revision: int = 1, state: State = "RUNNING", reason: str = "") -> Outcome:
    return Outcome(
        namespace="foo",
        name="a",
        instance=instance,
        revision=revision,
        state=state,
        reason=reason,
        created=True,
    )


async def opened(directory: Path, incarnation: str = "abc") -> FileJournal:
    journal = FileJournal(directory, lambda: incarnation)
    await journal.open()
    return journal


async def test_flushed_entries_survive_a_kill(tmp_path: Path) -> None:
    """What was put and flushed is read by the next journal, although the first was never closed properly."""
    journal = await opened(tmp_path)
    tap = TapOutcome(namespace="foo", tap="t0", revision=2)
    for entry in (Entry(vm=outcome()), Entry(vm=outcome("i2")), Entry(tap=tap), Entry(seen=Seen("s1", 4))):
        journal.put(entry)
    journal.put(Entry(vm=outcome("i2", 5, "ERROR", "no kernel")))
    journal.put(Entry(vm=outcome("i3")))
    journal.put(Entry(forget="i3"))
    await journal.flush()
    for file in (journal._lock, journal._log):
        assert file is not None
        file.close()  # as a kill does
    again = await opened(tmp_path)
    assert again.outcomes == {"i1": outcome(), "i2": outcome("i2", 5, "ERROR", "no kernel")}
    assert again.taps == {("foo", "t0"): tap}
    assert again.seen == Seen("s1", 4)
    again.put(Entry(forget_tap=("foo", "t0")))
    await again.close()
    assert (await closed(tmp_path)).taps == {}


async def closed(directory: Path) -> FileJournal:
    journal = await opened(directory)
    await journal.close()
    return journal


async def test_incarnation_is_made_once(tmp_path: Path) -> None:
    """The host's identity stays, whatever a later start would make up."""
    assert (await closed(tmp_path)).incarnation == "abc"
    journal = await opened(tmp_path, "other")
    assert journal.incarnation == "abc"
    await journal.close()


@given(cut=st.integers(0, 700), junk=st.binary(max_size=20))
def test_damaged_tail_costs_only_the_tail(cut: int, junk: bytes) -> None:
    """Cut anywhere and followed by anything, every whole line counts, and nothing is made up."""
    written = [outcome(f"i{number}") for number in range(4)]
    content = b"".join(_line(Entry(vm=each)) for each in written)[:cut]
    journal = FileJournal(Path("unused"), lambda: "abc")
    journal._read(content + junk)
    found = list(journal.outcomes.values())
    assert found[: content.count(b"\n")] == written[: content.count(b"\n")]
    assert found == written[: len(found)]


async def test_what_is_put_after_a_torn_write_is_kept(tmp_path: Path) -> None:
    """A line that was written half does not swallow the next one."""
    journal = await opened(tmp_path)
    journal.put(Entry(vm=outcome("i1")))
    await journal.close()
    (tmp_path / "journal").write_bytes((tmp_path / "journal").read_bytes()[:-5])
    journal = await opened(tmp_path)
    assert journal.damaged == 1
    journal.put(Entry(vm=outcome("new")))
    await journal.close()
    assert set((await closed(tmp_path)).outcomes) == {"new"}


async def test_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """A line whose checksum does not fit is skipped and counted, those around it stand."""
    journal = await opened(tmp_path)
    for number in range(3):
        journal.put(Entry(vm=outcome(f"i{number}")))
    await journal.close()
    lines = (tmp_path / "journal").read_bytes().replace(b'"i1"', b'"i7"')
    (tmp_path / "journal").write_bytes(lines)
    journal = await opened(tmp_path)
    assert (set(journal.outcomes), journal.damaged) == ({"i0", "i2"}, 1)
    await journal.close()


async def test_log_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    """A thousand changes of few VMs do not make a file of thousands of lines."""
    journal = await opened(tmp_path)
    for revision in range(3000):
        journal.put(Entry(vm=outcome(f"i{revision % 3}", revision)))
        if revision % 100 == 0:
            await journal.flush()
    await journal.flush()
    assert len((tmp_path / "journal").read_bytes().splitlines()) <= 1200
    await journal.close()
    assert {each.revision for each in (await closed(tmp_path)).outcomes.values()} == {2997, 2998, 2999}


async def test_second_worker_on_a_directory_is_refused(tmp_path: Path) -> None:
    """Two journals never share a directory; once the first has let go, the next may have it."""
    first = await opened(tmp_path)
    with pytest.raises(
        JournalError, match=r"in use by another worker; stop it, or name another with --state"
    ):
        await opened(tmp_path)
    await first.close()
    await closed(tmp_path)


async def test_directory_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    """A state directory that is a file is said so, with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot use the state directory .*file.*--state"):
        await opened(tmp_path / "file")


async def test_failed_write_is_made_up_for(tmp_path: Path) -> None:
    """When the disk refuses, flush raises; once it takes writes again, everything is there."""
    journal = await opened(tmp_path)
    journal.put(Entry(vm=outcome("i1")))
    await journal.flush()
    log, journal._log = journal._log, open("/dev/full", "ab", buffering=0)  # noqa: SIM115, PTH123, ASYNC230  # a full disk
    journal.put(Entry(vm=outcome("i2")))
    with pytest.raises(JournalError, match=r"cannot write the journal .*No space left"):
        await journal.flush()
    assert log is not None
    log.close()
    await journal.flush()
    await journal.close()
    assert set((await closed(tmp_path)).outcomes) == {"i1", "i2"}
