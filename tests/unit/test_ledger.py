"""The account of guests that died, vanished, came back."""

from __future__ import annotations

from shoal.messages.desired import Load
from shoal_worker.core.domain_xml import Identity
from shoal_worker.core.ledger import GRACE_S, Happened, Ledger, Note, Seen
from shoal_worker.hypervisor import Guest, GuestState

A = Note(namespace="red", name="vm1", instance="a", revision=1, uuid="u-a")


def seen(note: Note = A, state: GuestState = "running", pid: int = 10) -> Seen:
    identity = Identity(
        namespace=note.namespace, name=note.name, instance=note.instance, revision=note.revision
    )
    load = Load(vcpus=1, memory_mib=80, vms=1)
    return Seen(uuid=note.uuid, name="vm1@red", identity=identity, load=load, state=state, pid=pid)


def only(ledger: Ledger) -> Guest:
    (guest,) = ledger.survey().guests
    return guest


def known() -> Ledger:
    ledger = Ledger()
    ledger.add(A, 0.0, pid=10)
    ledger.see([seen()], 0.0)
    return ledger


def test_unknown_guest_is_adopted_once() -> None:
    """A domain with our metadata that nobody noted becomes a guest of ours, and is told to be noted once."""
    ledger = Ledger()
    assert ledger.see([seen()], 0.0) == [A]
    assert ledger.see([seen()], 1.0) == []
    assert only(ledger).state == "running"
    assert only(ledger).pid == 10


def test_foreign_domains_are_summed_up() -> None:
    """Domains without our metadata are load, never guests."""
    ledger = Ledger()
    foreign = Seen(
        uuid="x", name="x", identity=None, load=Load(vcpus=2, memory_mib=512, nics=1, vms=1), state="running"
    )
    ledger.see([foreign, seen(), foreign], 0.0)
    assert ledger.survey().foreign == Load(vcpus=4, memory_mib=1024, nics=2, vms=2)
    assert len(ledger.survey().guests) == 1
    ledger.see([seen()], 1.0)
    assert ledger.survey().foreign == Load()


def test_death_with_reason_in_any_order() -> None:
    """How the process ended is part of the reason, whether it is heard of before the domain's end or after."""
    reasons = set()
    for order in ("process first", "domain first"):
        ledger = known()
        if order == "process first":
            ledger.died(10, "killed by signal 9")
        ledger.happened(Happened(uuid="u-a", ended=True, reason="QEMU died"))
        if order == "domain first":
            ledger.died(10, "killed by signal 9")
        assert only(ledger).state == "failed"
        assert only(ledger).pid == 0
        reasons.add(only(ledger).reason)
    assert reasons == {"QEMU died: killed by signal 9"}


def test_power_off_has_no_reason() -> None:
    """A guest that turned itself off is shutoff, whatever status its process ended with."""
    ledger = known()
    ledger.died(10, "killed by signal 15")
    ledger.happened(Happened(uuid="u-a", ended=True))
    assert (only(ledger).state, only(ledger).reason) == ("shutoff", "")
    (note,) = ledger.unwritten()
    assert ledger.explain(note.instance, "words") == note, "last words are for failures"


def test_end_is_told_until_forgotten() -> None:
    """An ended guest stays in the survey, with QEMU's last words, until it is forgotten; then for good."""
    ledger = known()
    ledger.happened(Happened(uuid="u-a", ended=True, reason="QEMU died"))
    (note,) = ledger.unwritten()
    final = ledger.explain(note.instance, "out of memory")
    assert final is not None
    assert final.reason == "QEMU died; out of memory"
    assert ledger.unwritten() == []
    for now in (1.0, 2.0, 100.0):
        ledger.see([], now)
        assert only(ledger).reason == "QEMU died; out of memory"
        assert not ledger.undecided()
    ledger.forget("a", 101.0)
    assert ledger.survey().guests == ()


def test_missing_is_believed_after_a_grace() -> None:
    """A guest that is missing keeps its state for a second, as events may be late, and then must be settled."""
    ledger = known()
    ledger.see([], 10.0)
    assert only(ledger).state == "running"
    assert ledger.undecided()
    assert ledger.overdue(10.0 + GRACE_S / 2) == []
    ledger.see([seen()], 10.5)
    assert not ledger.undecided(), "it was there again"
    ledger.see([], 11.0)
    ledger.see([], 11.0 + GRACE_S)
    assert [note.instance for note in ledger.overdue(11.0 + GRACE_S)] == ["a"]
    ledger.end_unseen("a", "failed", "gone")
    assert (only(ledger).state, only(ledger).reason) == ("failed", "gone")


def test_a_listing_that_is_older_than_a_guest_says_nothing_of_it() -> None:
    """A listing may wait long for its turn: a guest that came to be meanwhile is not missing from it."""
    ledger = Ledger()
    assert ledger.begin_creating("a")
    ledger.end_creating("a")
    ledger.add(A, 11.1, pid=10)
    ledger.see([], 10.0)
    assert not ledger.undecided()
    ledger.see([], 11.2)
    assert ledger.undecided(), "from a listing that was asked for later it is missing"


def test_our_own_doing_is_no_failure() -> None:
    """The end of a guest that we are ending is not reported, and an older listing does not bring it back."""
    ledger = known()
    ledger.begin_leaving("a")
    ledger.happened(Happened(uuid="u-a", ended=True, reason="destroyed by somebody else"))
    ledger.see([], 5.0)
    assert only(ledger).state == "running"
    assert not ledger.undecided()
    ledger.forget("a", 6.0)
    assert ledger.see([seen()], 5.9) == [], "asked for before it was removed"
    assert ledger.survey().guests == ()
    ledger.see([], 6.1)
    assert ledger.see([seen()], 6.2) == [A], "a domain that is there later really is there"


def test_creation_is_invisible_until_it_ended() -> None:
    """A guest that is being created is in no survey, and cannot be created twice."""
    ledger = Ledger()
    assert ledger.begin_creating("a")
    assert not ledger.begin_creating("a")
    assert ledger.see([seen()], 0.0) == []
    assert ledger.survey().guests == ()
    ledger.end_creating("a")
    assert ledger.see([seen()], 1.0) == [A], "a creation that hung and succeeded is adopted"
    assert not ledger.begin_creating("a")


def test_failed_destruction_counts_again() -> None:
    """A guest that could not be ended is watched as before."""
    ledger = known()
    ledger.begin_leaving("a")
    ledger.stay("a")
    ledger.happened(Happened(uuid="u-a", ended=True, reason="QEMU died"))
    assert only(ledger).state == "failed"


def test_death_of_others_is_not_kept() -> None:
    """The end of a process that is no guest's is forgotten at once, as its number will be used again."""
    ledger = known()
    ledger.died(99, "killed by signal 9")
    assert ledger._deaths == {}
