"""The worker's desired state: merging, counting, and the links that it asks for."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal import subjects
from shoal.core.ifnames import guest_tap, segment_bridge, segment_device
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.messages.desired import Desired, LaunchRecord, Port, Power, SegmentRecord, TapRecord
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.wanted import kept, unneeded, wanted_links
from shoal_worker.network import GuestTap, HostTap, Links, Segment

HOST, INCARNATION, OURS = "mm1", "inc", "10.0.0.1"
VNI = 4096 + 100
LAN = segment_bridge(VNI)


def launch(
    name: str = "a",
    *,
    instance: str = "i1",
    revision: int = 1,
    power: Power = "paused",
    vni: int = VNI,
    **more: Any,
) -> LaunchRecord:
    segment = segment_bridge(vni) if vni else "shp-x"
    port = Port(
        bridge="lan", vlan=100, vni=vni, segment=segment, tap=guest_tap(instance, 0), mac="m", driver="e1000"
    )
    made = LaunchRecord(
        namespace="foo",
        name=name,
        id=0,
        instance=instance,
        revision=revision,
        power=power,
        host=HOST,
        incarnation=INCARNATION,
        uuid="u",
        config=VMConfig(networks=(NetSpec(vlan="100"),)),
        ports=(port,),
    )
    return msgspec.structs.replace(made, **more)


def tap(revision: int = 1, **more: Any) -> TapRecord:
    made = TapRecord(
        namespace="foo",
        tap="t0",
        revision=revision,
        host=HOST,
        incarnation=INCARNATION,
        bridge="lan",
        vlan=100,
        vni=VNI,
        segment=LAN,
        ip="10.1.0.1/24",
    )
    return msgspec.structs.replace(made, **more)


def segment(revision: int = 1, peers: dict[str, str] | None = None, **more: Any) -> SegmentRecord:
    made = SegmentRecord(
        vni=VNI,
        revision=revision,
        namespace="foo",
        bridge="lan",
        vlan=100,
        segment=LAN,
        device=segment_device(VNI),
        peers={HOST: OURS, "mm2": "10.0.0.2", "mm3": "10.0.0.3"} if peers is None else peers,
    )
    return msgspec.structs.replace(made, **more)


def subject_of(record: Desired) -> str:
    if isinstance(record, LaunchRecord):
        return subjects.launch(record.host, record.namespace, record.name)
    if isinstance(record, TapRecord):
        return subjects.tap(record.host, record.namespace, record.tap)
    return subjects.tunnel(record.vni)


def holding(*stored: tuple[int, Desired]) -> DesiredState:
    """A state that holds these (sequence, record)."""
    state = DesiredState(HOST, INCARNATION)
    for sequence, record in stored:
        state.merge(subject_of(record), sequence, record)
    return state


def done(_: Desired) -> bool:
    return True


def undone(_: Desired) -> bool:
    return False


@given(st.permutations([(1, 1), (2, 2), (3, 3), (4, 4)]), st.integers(0, 3))
def test_any_order_and_any_repetition_ends_with_the_newest(stored: list[tuple[int, int]], again: int) -> None:
    """In whatever order records of a subject arrive, and however often, the one with the highest sequence stands."""
    state = holding(*[(seq, launch(revision=rev)) for seq, rev in [*stored, stored[again]]])
    assert [record.revision for record in state.launches()] == [4]
    assert state.counted() == (1, 4)


def test_what_is_known_needs_no_decoding() -> None:
    """What was stored no later than what is held, or was forgotten, changes nothing; in another store anything may."""
    state = holding((1, launch()), (5, launch("b", instance="i2", power="gone")))
    held, gone = subject_of(launch()), subject_of(launch("b"))
    assert [state.knows(held, sequence) for sequence in (1, 2)] == [True, False]
    assert not state.knows(subject_of(launch("c")), 1)
    state.erase(gone, 6, done)
    assert [state.knows(gone, sequence) for sequence in (6, 7)] == [True, False]
    state.forget_sequences()
    assert not state.knows(held, 1)
    assert not state.knows(gone, 1)


def test_lower_revision_of_an_instance_is_refused_but_counted() -> None:
    """A lower revision under a higher sequence has no effect, though the stream now holds that message."""
    state = holding((1, launch(revision=3)))
    assert state.merge(subject_of(launch()), 2, launch(revision=2)) == "older"
    assert [record.revision for record in state.launches()] == [3]
    assert state.counted() == (1, 2)


def test_new_instance_begins_at_its_own_revision() -> None:
    """Another instance under the same name replaces the old one, whatever its revision."""
    state = holding((1, launch(revision=9)))
    assert state.merge(subject_of(launch()), 2, launch(instance="i2", revision=1)) == "taken"
    assert [record.instance for record in state.launches()] == ["i2"]


@pytest.mark.parametrize(
    ("old", "new"), [(tap(2, removed=True), tap(1)), (segment(2, removed=True), segment(1))]
)
def test_what_has_no_instance_may_begin_anew_after_its_tombstone(old: Desired, new: Desired) -> None:
    """A tap or segment that was removed comes back at any revision."""
    state = holding((1, old))
    assert state.merge(subject_of(new), 2, new) == "taken"


def test_record_for_another_incarnation_is_held_but_not_acted_on() -> None:
    """It counts as held, and is in neither launches nor links nor load."""
    state = holding((1, launch(incarnation="other")), (2, tap(incarnation="other")), (3, segment(peers={})))
    assert (list(state.launches()), list(state.taps()), state.strangers()) == ([], [], 2)
    assert wanted_links(state, OURS, frozenset()).links == Links()
    assert state.load().vms == 0
    assert state.launch("foo", "a") is None
    assert state.counted() == (2, 2)


def test_absence_removes_nothing() -> None:
    """When all was read and nothing was found, only tombstones that were obeyed are forgotten."""
    state = holding((1, launch()), (2, launch("b", instance="i2", power="gone")), (3, tap(removed=True)))
    state.prune((), state.sequences(), undone)
    assert state.counted() == (3, 3)
    state.prune((), state.sequences(), done)
    assert [record.name for record in state.launches()] == ["a"]
    assert state.counted() == (1, 1)


def test_tombstone_that_is_still_stored_is_kept() -> None:
    """A tombstone that was found counts on, since the leader counts it too."""
    state = holding((1, launch(power="gone")))
    state.prune({subject_of(launch())}, state.sequences(), done)
    assert state.counted() == (1, 1)


def test_what_arrived_while_reading_is_not_forgotten() -> None:
    """A tombstone that came after reading began may rightly not have been found."""
    state = holding((1, launch()))
    before = state.sequences()
    state.merge(subject_of(launch()), 5, launch(revision=2, power="gone"))
    state.prune((), before, done)
    assert state.counted() == (1, 5)


def test_deletion_ends_an_obeyed_tombstone_only() -> None:
    """An empty body forgets a tombstone that was obeyed; it is no command to anything else."""
    subject = subject_of(launch())
    state = holding((1, launch()))
    assert not state.erase(subject, 2, done)
    state.merge(subject, 3, launch(revision=2, power="gone"))
    assert not state.erase(subject, 4, undone)
    assert not state.erase(subject, 2, done)
    assert state.erase(subject, 4, done)
    assert state.counted() == (0, 0)


def test_forgotten_tombstone_keeps_older_records_out() -> None:
    """What a lagging replica still tells of a forgotten VM is known to be old."""
    subject = subject_of(launch())
    state = holding((3, launch(revision=2, power="gone")))
    state.erase(subject, 4, done)
    assert state.merge(subject, 2, launch(power="running")) == "known"
    assert state.merge(subject, 5, launch(instance="i2")) == "taken"


def test_another_store_numbers_anew() -> None:
    """After a change of stores lower sequences are taken, and revisions still count."""
    state = holding((900, launch(revision=3)))
    state.forget_sequences()
    assert state.merge(subject_of(launch()), 5, launch(revision=2)) == "older"
    assert state.merge(subject_of(launch()), 6, launch(revision=4)) == "taken"


def test_leader_and_worker_count_alike() -> None:
    """Counted are launches, taps, and those segments that name this host."""
    state = holding((1, launch()), (2, tap()), (7, segment()))
    assert state.counted() == (3, 7)
    state.merge(subjects.tunnel(VNI), 8, segment(2, peers={"mm2": "10.0.0.2"}))
    assert state.counted() == (2, 2)


def test_watched_segments_follow_the_records() -> None:
    """A VNI is watched while a record names it, or while it names this host."""
    state = holding((1, launch()))
    assert state.watched_vnis() == {VNI}
    state.merge(subject_of(launch()), 2, launch(revision=2, power="gone"))
    assert state.watched_vnis() == frozenset()
    state.merge(subjects.tunnel(VNI), 3, segment())
    assert state.watched_vnis() == {VNI}
    state.merge(subjects.tunnel(VNI), 4, segment(2, peers={}, removed=True))
    assert state.watched_vnis() == frozenset()
    state.prune({subjects.tunnel(VNI)}, state.sequences(), done)
    assert list(state.segments()) == []


def test_segment_is_kept_until_its_removal_was_told() -> None:
    """A removed segment is forgotten neither by reading nor by its deletion before the leader could hear of it."""
    state = holding((1, segment(2, peers={}, removed=True)))
    state.prune((), state.sequences(), undone)
    assert not state.erase(subjects.tunnel(VNI), 2, undone)
    assert [record.revision for record in state.segments()] == [2]
    assert state.erase(subjects.tunnel(VNI), 2, done)
    assert list(state.segments()) == []


def test_load_counts_what_is_to_be_here() -> None:
    """The load is that of VMs with power paused or running."""
    state = holding(
        (1, launch(power="running")),
        (2, launch("b", instance="i2")),
        (3, launch("c", instance="i3", power="off")),
        (4, launch("d", instance="i4", power="gone")),
    )
    load = state.load()
    assert (load.vms, load.vcpus, load.memory_mib, load.nics) == (2, 2, 4096, 2)


def test_segment_that_is_stored_no_more_is_forgotten() -> None:
    """A segment that names us and whose link we do not have goes when a full reading does not find it."""
    for peers in ({"mm1": "10.0.0.1"}, {"mm2": "10.0.0.2"}):
        state = holding((1, launch(power="off")), (2, segment(3, peers=peers)))
        before = state.sequences()
        state.prune([subjects.tunnel(VNI)], before, lambda _: True)
        assert state.segment(VNI) is not None, "it is stored, and a record of ours names it"
        state.prune([], before, lambda _: False)
        assert state.segment(VNI) is not None, "the link is there"
        state.prune([], before, lambda _: True)
        assert state.segment(VNI) is None


def test_segment_that_begins_anew_is_taken_although_its_removal_was_missed() -> None:
    """A segment's record stored later counts, whatever its revision: else its peers would stay wrong for good."""
    state = holding((1, launch()), (2, segment(3)))
    anew = segment(1, peers={"mm9": "10.0.0.9"})
    assert state.merge(subjects.tunnel(VNI), 9, anew) == "taken"
    assert state.segment(VNI) == anew


def test_vm_waits_for_the_record_of_its_segment() -> None:
    """Without the segment's record there are no links, and the reason names the segment."""
    state = holding((1, launch()), (2, tap()))
    found = wanted_links(state, OURS, frozenset())
    assert found.links == Links()
    assert found.waiting == {("foo", "a"): f"waiting for segment lan/100 (VNI {VNI})"}
    assert found.waiting_taps == {("foo", "t0"): f"waiting for segment lan/100 (VNI {VNI})"}


def test_links_of_a_vm_and_a_host_tap() -> None:
    """Wanted are the segment with the others' addresses, the guest's tap, and the host's tap with its address."""
    state = holding((1, launch()), (2, tap()), (3, segment()))
    links = wanted_links(state, OURS, frozenset()).links
    assert links.segments == {
        LAN: Segment(
            segment=LAN,
            vni=VNI,
            device=segment_device(VNI),
            local=OURS,
            peers=frozenset({"10.0.0.2", "10.0.0.3"}),
        )
    }
    assert links.guest_taps == {guest_tap("i1", 0): GuestTap(tap=guest_tap("i1", 0), segment=LAN)}
    assert links.host_taps == {"t0": HostTap(tap="t0", segment=LAN, ip="10.1.0.1/24")}


def test_segment_is_worked_out_once_for_each_record() -> None:
    """The parts of the last time change nothing but the work: a segment may name a thousand hosts."""
    state = holding((1, launch()), (2, tap()), (3, segment()))
    before = wanted_links(state, OURS, frozenset())
    again = wanted_links(state, OURS, frozenset(), before.parts)
    assert again.links.segments[LAN] is before.links.segments[LAN]
    state.merge(subjects.tunnel(VNI), 4, segment(2, peers={"mm2": "10.0.0.2"}))
    anew = wanted_links(state, OURS, frozenset(), again.parts)
    assert anew == wanted_links(state, OURS, frozenset())
    assert anew.links.segments[LAN].peers == {"10.0.0.2"}
    state.merge(subjects.tunnel(VNI), 5, segment(3, removed=True))
    assert wanted_links(state, OURS, frozenset(), anew.parts).links == Links()


def test_plain_bridge_needs_no_record() -> None:
    """A port with VNI 0 is a bridge of the host's own."""
    links = wanted_links(holding((1, launch(vni=0))), OURS, frozenset()).links
    assert links.segments == {"shp-x": Segment(segment="shp-x")}


def test_disconnected_port_has_a_tap_in_no_segment() -> None:
    """VLAN 0 is disconnected: the tap is there, and no segment is waited for."""
    record = launch()
    ports = (msgspec.structs.replace(record.ports[0], vlan=0),)
    found = wanted_links(holding((1, msgspec.structs.replace(record, ports=ports))), OURS, frozenset())
    assert found.waiting == {}
    assert [link.segment for link in found.links.guest_taps.values()] == [""]


@pytest.mark.parametrize("power", ["off", "gone"])
def test_vm_that_is_not_to_be_here_needs_no_links(power: Power) -> None:
    """Off and gone VMs ask for nothing."""
    assert wanted_links(holding((1, launch(power=power)), (2, segment())), OURS, frozenset()).links == Links()


def test_ended_guest_keeps_its_segment_but_no_taps() -> None:
    """Where the guest ended by itself the host stays in the segment, as the leader counts it."""
    links = wanted_links(holding((1, launch()), (2, segment())), OURS, frozenset({"i1"})).links
    assert (set(links.segments), links.guest_taps) == ({LAN}, {})


def test_making_and_mending_removes_nothing() -> None:
    """What is there and not wanted is kept while anything is made."""
    there = Links(guest_taps={"x": GuestTap(tap="x", segment="s")}, segments={"s": Segment(segment="s")})
    wanted = Links(segments={LAN: Segment(segment=LAN)})
    merged = kept(wanted, there)
    assert (set(merged.segments), set(merged.guest_taps)) == ({"s", LAN}, {"x"})


def test_unneeded_spares_what_guests_and_host_taps_use() -> None:
    """A tap in use keeps itself and its segment; a host tap goes only by its tombstone."""
    there = Links(
        segments={name: Segment(segment=name) for name in ("used", "idle", "host", "left")},
        guest_taps={
            "busy": GuestTap(tap="busy", segment="used"),
            "free": GuestTap(tap="free", segment="idle"),
        },
        host_taps={"t0": HostTap(tap="t0", segment="left"), "t1": HostTap(tap="t1", segment="host")},
    )
    assert unneeded(Links(), there, {"busy"}, [tap(removed=True)]) == {"free", "idle", "t0", "left"}
    assert unneeded(there, there, (), ()) == frozenset()
