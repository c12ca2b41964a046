"""How hosts age: by their own silence, unless too many are silent together."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shoal.messages.desired import Capacity, Heartbeat
from shoal_orchestrator.aging import Aging
from shoal_orchestrator.core.losing import mass_loss
from shoal_orchestrator.inventory import HostInventory
from shoal_orchestrator.store import Store

NOW = 1000.0


class Connected:
    connected = True


def inventory(*silent_s: float, heard: bool = True) -> HostInventory:
    """Hosts h0, h1, … that were alive, and have been silent for so long."""
    bus: Any = Connected()
    nowhere: Any = None
    found = HostInventory(bus, Store(nowhere, random.Random(1)), lambda *_: None)
    for number, seconds in enumerate(silent_s):
        seen = found.hosts[f"h{number}"]
        seen.heard_at = NOW - seconds
        if heard:
            seen.state = "alive"
            seen.heartbeat = Heartbeat(
                host=f"h{number}",
                incarnation="i",
                session="s",
                version="0",
                capacity=Capacity(cpus=1, memory_mib=1),
            )
    return found


def aged(hosts: HostInventory, *, after_s: float = 0.0) -> list[str]:
    bus: Any = Connected()
    Aging(bus, hosts)._look(NOW + after_s)
    return [seen.state for seen in hosts.hosts.values()]


def test_each_host_ages_by_its_own_silence() -> None:
    """Five seconds make it suspect, twenty lost; whoever speaks is as alive as before."""
    assert aged(inventory(0.1, 4.9, 5.0, 19.9, 20.0)) == ["alive", "alive", "suspect", "suspect", "lost"]


def test_a_host_that_was_never_heard_is_unknown_until_it_has_been_silent_for_long() -> None:
    """Nothing is said of what nothing is known of."""
    assert aged(inventory(1.0, 6.0, 21.0, heard=False)) == ["unknown", "unknown", "lost"]


def test_many_that_fall_silent_together_are_not_lost() -> None:
    """Four of twenty are more than three and more than a tenth: none of them is lost, all are suspect."""
    hosts = inventory(*[10.0] * 4, *[0.0] * 16)
    assert aged(hosts) == [*["suspect"] * 4, *["alive"] * 16]
    for number in range(4, 20):
        hosts.hosts[f"h{number}"].heard_at = NOW + 20.0
    assert aged(hosts, after_s=20.0) == [*["suspect"] * 4, *["alive"] * 16]
    assert hosts.frozen == 4
    hosts.hosts["h0"].heard_at = NOW + 20.0
    assert aged(hosts, after_s=20.0) == ["alive", *["lost"] * 3, *["alive"] * 16]
    assert hosts.frozen == 0


def test_a_few_of_many_are_lost() -> None:
    """Five are more than three, but no tenth of a hundred: those that are heard count, too."""
    hosts = inventory(*[20.0] * 5, *[0.0] * 95)
    assert aged(hosts) == [*["lost"] * 5, *["alive"] * 95]
    assert hosts.frozen == 0


@pytest.mark.parametrize(
    ("silent", "hosts", "expected"), [(3, 10, 0), (4, 10, 4), (100, 1000, 0), (101, 1000, 101)]
)
def test_how_many_are_too_many(silent: int, hosts: int, expected: int) -> None:
    """More than three, and more than a tenth of all, those included that are heard and not listed."""
    assert mass_loss([25.0] * silent, hosts) == expected


def test_nobody_freezes_before_the_first_would_be_lost() -> None:
    """Many that are suspect may all be back in a moment."""
    assert mass_loss([10.0] * 50, 100) == 0


def test_few_of_many_that_fall_silent_are_lost() -> None:
    """Four of a hundred are no mass loss: those that are heard count among all."""
    hosts = inventory(*[30.0] * 4, *[0.0] * 96)
    assert aged(hosts) == [*["lost"] * 4, *["alive"] * 96]
    assert hosts.frozen == 0
