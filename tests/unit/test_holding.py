"""What a worker keeps of records and tells of them: in its journal, in pages, and as one again at the leader."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.repair_cases import TAP, VM

from shoal import codec
from shoal.messages.desired import SegmentRecord
from shoal.messages.repair_requests import HeldRecords
from shoal_orchestrator.core.holdings import Holding, holding_of
from shoal_worker.core import holding
from shoal_worker.core.actions import Outcome, TapOutcome
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.holding import Item, held_items, page_of
from shoal_worker.core.remembering import records_to_drop, records_to_keep, taps_to_keep
from shoal_worker.hypervisor import Guest
from shoal_worker.journal import Entry, FileJournal

OUTCOME = Outcome(namespace="red", name="a", instance="i1", revision=3, state="RUNNING")
GUEST = Guest(namespace="red", name="a", instance="i1", revision=1, state="running", pid=7)
HOST = HeldRecords(incarnation="inc", underlay="10.0.0.1", seen_store="s")


def told(items: dict[str, Item]) -> Holding:
    pages = [page_of(items, "", HOST)]
    while pages[-1].next:
        pages.append(page_of(items, pages[-1].next, HOST))
    return holding_of("mm1", pages)


def desired(*records: object) -> DesiredState:
    found = DesiredState("mm1", "inc")
    for sequence, record in enumerate(records, 1):
        found.merge(f"s{sequence}", sequence, record)  # type: ignore[arg-type]  # the test gives records
    return found


def test_of_memory_and_journal_the_higher_revision_is_told() -> None:
    """A worker that was restarted has read an older store, and its journal has what came later; or has nothing else."""
    older = replace(VM, revision=1)
    for in_memory, journaled in ((older, VM), (VM, older)):
        found = told(held_items(desired(in_memory), [journaled], [], {}, {}, []))
        assert found.launches == {"i1": VM}
    assert told(held_items(desired(), [VM], [TAP], {}, {}, [])).launches == {"i1": VM}


def test_what_is_known_of_instances_is_told() -> None:
    """A living guest's state is its own, whatever its outcome says; one that ended is as it was written down."""
    ended = replace(OUTCOME, instance="i2", name="b", state="QUIT", gone=True)
    outcomes = {"i1": replace(OUTCOME, state="PAUSED"), "i2": ended}
    stray = replace(GUEST, instance="i3", state="failed", pid=0)
    found = told(held_items(desired(), [], [], outcomes, {}, [GUEST, stray]))
    assert {i: (v.state, v.revision, v.gone) for i, v in found.vms.items()} == {
        "i1": ("RUNNING", 3, False),
        "i2": ("QUIT", 3, True),
        "i3": ("ERROR", 1, False),
    }
    assert found.alive("i1")
    assert not found.alive("i3")
    assert found.gone("i2")


def test_pages_are_small_and_hold_everything(monkeypatch) -> None:
    """However many there are: each page is below its limit, or a single item."""
    monkeypatch.setattr(holding, "PAGE_BYTES", 2000)
    vms = [replace(VM, instance=f"i{number}", name=f"v{number}") for number in range(50)]
    segment = SegmentRecord(
        vni=1, revision=1, namespace="", bridge="b", vlan=1, segment="s", device="d", peers={"mm1": ""}
    )
    taps = {("red", "t0"): TapOutcome(namespace="red", tap="t0", revision=2, gone=True)}
    tap = replace(TAP, host="mm1")
    items = held_items(desired(segment), vms, [tap], {}, taps, [GUEST])
    found = told(items)
    assert set(found.launches) == {vm.instance for vm in vms}
    assert (found.taps, found.segments) == ({("red", "t0"): tap}, {1: segment})
    assert found.tap_states["red", "t0"].gone
    assert len(codec.encode(page_of(items, "", HOST))) < 3000


@given(st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_record_is_kept_once_and_never_replaced_by_an_older_one(
    kept: int, heard: int, gone_already: bool
) -> None:
    """What is to be gone, or is, is not kept at all."""
    record, before = replace(VM, revision=heard), {"i1": replace(VM, revision=kept)}
    outcomes = {"i1": replace(OUTCOME, revision=1, gone=True)} if gone_already else {}
    chosen = list(records_to_keep([record], before, outcomes))
    assert chosen == ([record] if heard > kept and not gone_already else [])
    assert list(records_to_keep([replace(record, power="gone")], {}, outcomes)) == []


def test_an_older_record_than_what_was_carried_out_is_not_kept() -> None:
    """It comes from a store that went backwards. Nor is a tap's, or one that is to be removed."""
    assert list(records_to_keep([replace(VM, revision=2)], {}, {"i1": OUTCOME})) == []
    later = {("red", "t0"): TapOutcome(namespace="red", tap="t0", revision=2)}
    assert list(taps_to_keep([TAP], {}, later)) == []
    assert list(taps_to_keep([replace(TAP, revision=2)], {("red", "t0"): TAP}, later)) == [
        replace(TAP, revision=2)
    ]
    assert list(taps_to_keep([replace(TAP, revision=3, removed=True)], {}, later)) == []


def test_what_was_replaced_before_it_was_carried_out_is_dropped() -> None:
    """Nothing else is: what has no record any more is what the journal keeps them for."""
    names = {("red", "a"): "i2"}
    assert list(records_to_drop([VM], names, (), ())) == ["i1"]
    assert list(records_to_drop([VM], names, ("i1",), ())) == []
    assert list(records_to_drop([VM], {}, (), ())) == []


async def test_the_journal_keeps_records_until_they_are_gone(tmp_path: Path) -> None:
    """Over restarts and rewrites of the file; the end of a VM or a tap ends it."""
    journal = FileJournal(tmp_path, lambda: "inc")
    await journal.open()
    for entry in (Entry(record=VM), Entry(record=replace(VM, instance="i2")), Entry(tap_record=TAP)):
        journal.put(entry)
    await journal.close()
    again = FileJournal(tmp_path, lambda: "inc")
    await again.open()
    assert again.records == {"i1": VM, "i2": replace(VM, instance="i2")}
    assert again.tap_records == {("red", "t0"): TAP}
    again.put(Entry(vm=replace(OUTCOME, gone=True)))
    again.put(Entry(forget="i2"))
    again.put(Entry(tap=TapOutcome(namespace="red", tap="t0", revision=9, gone=True)))
    await again.close()
    last = FileJournal(tmp_path, lambda: "inc")
    await last.open()
    assert (dict(last.records), dict(last.tap_records)) == ({}, {})
    await last.close()
