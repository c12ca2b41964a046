"""Which leaders a worker obeys."""

from __future__ import annotations

from shoal_worker.core.leaders import Seen, objection

SEEN = Seen("s", 4, "n")


def test_the_leader_of_now_and_later_ones_are_obeyed() -> None:
    """The same term, a later one, and the first that is ever heard; a leader of an older version tells no nonce."""
    for said in (SEEN, Seen("s", 5, "m"), Seen("s", 4)):
        assert not objection(SEEN, said, holds=True)
    assert not objection(Seen(), Seen("t", 1, "x"), holds=True)


def test_a_leader_that_knows_less_is_not_obeyed() -> None:
    """A lower epoch, or the same one under another nonce: the store went backwards, whatever the host holds."""
    assert "epoch 3 is below 4" in objection(SEEN, Seen("s", 3, "m"), holds=False)
    assert "led by another" in objection(SEEN, Seen("s", 4, "m"), holds=False)


def test_another_store_is_obeyed_only_by_a_host_that_has_nothing_to_lose() -> None:
    """An emptied store would end nothing by itself, but launch names again that run here."""
    assert "belongs to store s" in objection(SEEN, Seen("t", 1, "x"), holds=True)
    assert not objection(SEEN, Seen("t", 1, "x"), holds=False)


def test_a_store_that_was_rebuilt_from_ours_is_obeyed() -> None:
    """The repair names the stores that it succeeds."""
    assert not objection(SEEN, Seen("t", 1, "x"), succeeds=("r", "s"), holds=True)
    assert objection(SEEN, Seen("t", 1, "x"), succeeds=("r",), holds=True)
