"""Which hosts each host pings when the cluster is checked."""

from __future__ import annotations

from collections import Counter

from shoal_orchestrator.core.peers import peers_to_try


def test_in_a_small_cluster_everybody_tries_everybody() -> None:
    """Each host tries all others, and never itself; one without an address neither tries nor is tried."""
    found = peers_to_try({"a": "1", "b": "2", "c": "3", "d": ""}, ())
    assert found == {"a": {"2": "b", "3": "c"}, "b": {"3": "c", "1": "a"}, "c": {"1": "a", "2": "b"}}
    assert peers_to_try({"a": "1"}, ()) == {"a": {}}


def test_in_a_large_cluster_each_is_tried_by_some() -> None:
    """No host tries more than 16 others, and all are tried equally often."""
    names = {f"h{number}": f"10.0.{number // 256}.{number % 256}" for number in range(1000)}
    found = peers_to_try(names, ())
    assert {len(peers) for peers in found.values()} == {16}
    assert set(Counter(name for peers in found.values() for name in peers.values()).values()) == {16}


def test_those_of_common_segments_come_first() -> None:
    """Tunnels lead there."""
    names = {f"h{number}": f"10.0.0.{number}" for number in range(100)}
    found = peers_to_try(names, [("h0", "h50", "h99", "unknown")], most=3)
    assert list(found["h0"].values()) == ["h50", "h99", "h1"]
    assert list(found["h50"].values()) == ["h99", "h0", "h51"]
