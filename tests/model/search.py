"""Breadth-first search of everything that may happen; the first state that breaks an invariant ends it.

Refuses to know what states mean. The trace that it gives is a shortest one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from tests.model import invariants, steps_orchestrator, steps_worker
from tests.model.state import Scenario, Step, World, beginning


@dataclass(frozen=True)
class Found:
    """What a search came to: how many states there are, and if something broke, what and how."""

    states: int
    broken: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.states} states", *([f"broken: {self.broken}"] if self.broken else [])]
        return "\n".join([*lines, *(f"{at + 1:3} {line}" for at, line in enumerate(self.trace))])


def next_steps(scenario: Scenario, world: World) -> Iterator[Step]:
    """Everything that may happen next."""
    yield from steps_orchestrator.steps(scenario, world)
    yield from steps_worker.steps(scenario, world)


def explore(scenario: Scenario, *, most: int = 200_000) -> Found:
    """Search all states; `most` is a limit that a test must not reach. Raises RuntimeError beyond it.

    Without a broken state, it is also checked that from every state the cluster can still come to what was asked
    for, by steps that are no faults.
    """
    first = beginning(scenario)
    numbers = {first: 0}
    worlds = [first]
    parents, labels = array("i", [-1]), [""]
    froms, tos = array("i"), array("i")
    goals = []
    at = 0
    while at < len(worlds):
        world = worlds[at]
        if invariants.as_asked(scenario, world):
            goals.append(at)
        for label, after in next_steps(scenario, world):
            number = numbers.get(after)
            if number is None:
                number = numbers[after] = len(worlds)
                worlds.append(after)
                parents.append(at)
                labels.append(label)
                broken = invariants.broken(scenario, after)
                if broken:
                    return Found(len(worlds), broken, _trace(number, parents, labels))
                if number > most:
                    raise RuntimeError(f"more than {most} states: make the scenario smaller")
            if after.faults == world.faults:
                froms.append(at)
                tos.append(number)
        at += 1
    stuck = _stuck(len(worlds), goals, froms, tos)
    if stuck >= 0:
        return Found(len(worlds), "no way leads to what was asked for", _trace(stuck, parents, labels))
    return Found(len(worlds))


def _trace(at: int, parents: array[int], labels: list[str]) -> tuple[str, ...]:
    steps = []
    while at > 0:
        steps.append(labels[at])
        at = parents[at]
    return tuple(reversed(steps))


def _stuck(count: int, goals: list[int], froms: array[int], tos: array[int]) -> int:
    """The first state from which no goal can be reached, or -1."""
    before: list[list[int]] = [[] for _ in range(count)]
    for source, target in zip(froms, tos, strict=True):
        before[target].append(source)
    good = bytearray(count)
    waiting = list(goals)
    for goal in goals:
        good[goal] = 1
    while waiting:
        for source in before[waiting.pop()]:
            if not good[source]:
                good[source] = 1
                waiting.append(source)
    return next((number for number in range(count) if not good[number]), -1)
