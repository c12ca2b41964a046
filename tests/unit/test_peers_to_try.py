"""Which hosts each host pings when the cluster is checked."""

from __future__ import annotations

import tracemalloc
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

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


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """Hosts in the order of names, and the hosts of some segments, not all of which are known."""
    hosts = [f"h{number}" for number in range(draw(st.integers(1, 30)))]
    members = st.lists(st.sampled_from([*hosts, "unknown"]), max_size=40)
    return hosts, draw(st.lists(members, max_size=6))


@given(clusters(), st.integers(1, 6))
def test_each_tries_some_and_is_tried_by_some(cluster: tuple[list[str], list[list[str]]], most: int) -> None:
    """As many as may be, the nearest of those in its segments first; nobody is left to nobody, whatever the segments."""
    hosts, together = cluster
    found = peers_to_try({host: f"address of {host}" for host in hosts}, together, most)
    assert list(found) == hosts
    for at, host in enumerate(hosts):
        tried = list(found[host].values())
        assert len(tried) == len(set(tried) - {host}) == min(most, len(hosts) - 1)
        following = [*hosts[at + 1 :], *hosts[:at]]
        fellows = [
            other for other in following if any(host in segment and other in segment for segment in together)
        ]
        first = fellows[: most - 1]
        assert tried[: len(first)] == first
    if len(hosts) > 1:
        assert {name for peers in found.values() for name in peers.values()} == set(hosts)


class Name(str):
    """A host's name that counts how often it is looked up."""

    __slots__ = ()
    looks = 0

    def __hash__(self) -> int:
        Name.looks += 1
        return super().__hash__()

    __eq__ = str.__eq__


def _cost(hosts: int) -> tuple[int, int]:
    """Look-ups of names, and the most memory at once, for so many hosts that are all in the same segments."""
    underlays: dict[str, str] = {
        Name(f"h{number}"): f"10.0.{number // 256}.{number % 256}" for number in range(hosts)
    }
    together = [list(underlays)] * 3
    Name.looks = 0
    tracemalloc.start()
    try:
        peers_to_try(underlays, together)
        return Name.looks, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_four_times_the_hosts_cost_four_times_as_much() -> None:
    """And not sixteen times: 4,000 hosts in one segment took seconds and half a GiB."""
    for few, many in zip(_cost(100), _cost(400), strict=True):
        assert many < 6 * few
