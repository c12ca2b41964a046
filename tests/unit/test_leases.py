"""When a standby may take the lead: by what fence and lease show, and by nothing else."""

from __future__ import annotations

from shoal import codec, subjects
from shoal.bus.protocol import Stored
from shoal_orchestrator.core.leases import FenceRecord, Lead, LeaseRecord, LeaseWatch, released

FENCE = Stored(
    subjects.FENCE, 10, codec.encode(FenceRecord(store="s", epoch=3, nonce="n", holder="p"), "json")
)


def lease(counter: int, *, nonce: str = "n", released: bool = False) -> Stored:
    body = LeaseRecord(epoch=3, counter=counter, nonce=nonce, released=released)
    return Stored(subjects.LEASE, 10 + counter, codec.encode(body, "json"))


def watch(*gone: str) -> LeaseWatch:
    return LeaseWatch(lambda holder: holder in gone, patience_s=15)


def test_a_cluster_that_nobody_led_is_free() -> None:
    """Without a fence the first one takes the lead at once."""
    assert watch().free(Lead(None, None), 0)


def test_silence_counts_from_the_first_look_and_from_each_change() -> None:
    """The lead is free after 15 s without a change, by the standby's own clock; a renewal begins them anew."""
    standby = watch()
    assert not standby.free(Lead(FENCE, lease(1)), 100)
    assert not standby.free(Lead(FENCE, lease(1)), 114.9)
    assert not standby.free(Lead(FENCE, lease(2)), 115)
    assert not standby.free(Lead(FENCE, lease(2)), 129.9)
    assert "silent" in standby.free(Lead(FENCE, lease(2)), 130)


def test_a_fence_that_was_just_taken_counts_as_a_pulse() -> None:
    """A new leader that has not committed yet is not overtaken for its predecessor's old lease."""
    standby = watch()
    assert not standby.free(Lead(FENCE, lease(1)), 0)
    taken = FENCE._replace(sequence=20)
    assert not standby.free(Lead(taken, lease(1)), 15)
    assert not standby.free(Lead(taken, None), 29.9)


def test_a_lease_that_went_backwards_is_a_change() -> None:
    """A store that was rolled back shows another lease: the wait begins anew, nothing is concluded from it."""
    standby = watch()
    standby.free(Lead(FENCE, lease(5)), 0)
    assert not standby.free(Lead(FENCE, lease(4)), 15)


def test_a_released_lease_frees_the_lead_only_for_its_own_term() -> None:
    """What a predecessor has released says nothing about the leader of now."""
    assert "handed over" in watch().free(Lead(FENCE, lease(1, released=True)), 0)
    assert not watch().free(Lead(FENCE, lease(1, nonce="of another term", released=True)), 0)


def test_a_holder_that_has_ended_need_not_be_waited_for() -> None:
    """A process whose end can be seen is not given 15 s; one that runs, or cannot be seen, is."""
    assert "has ended" in watch("p").free(Lead(FENCE, lease(1)), 0)
    assert not watch("q").free(Lead(FENCE, lease(1)), 0)


def test_a_fence_that_cannot_be_read_is_replaced() -> None:
    """Nobody can lead under it, and its sequence still lets only one through."""
    assert watch().free(Lead(FENCE._replace(body=b"\xff\x00"), None), 0)


def test_only_a_released_lease_wakes_a_standby() -> None:
    """Renewals, of which a busy leader sends many in a second, and bytes of others do not."""
    assert released(lease(1, released=True).body)
    assert not released(lease(1).body)
    assert not released(b"junk")
