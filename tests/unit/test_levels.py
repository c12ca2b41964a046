"""Water-filling against a heap."""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heapreplace
from random import Random

from shoal_orchestrator.core.levels import pour


def by_heap(keys: list[int], step: int, count: int, mask: int, rooms: dict[int, int]) -> list[int]:
    heap, left = list(keys), dict(rooms)
    taken: list[int] = []
    heapify(heap)
    while heap and len(taken) < count:
        number = heap[0] & mask
        taken.append(number)
        left[number] = left.get(number, count + 1) - 1
        if left[number]:
            heapreplace(heap, heap[0] + step)
        else:
            heappop(heap)
    return taken


def test_pouring_is_what_a_heap_would_do() -> None:
    """In thousands of cases, with and without hosts that are full at some point: the same hosts in the same order."""
    rng = Random(7)
    for _ in range(3_000):
        hosts = rng.randint(1, 9)
        mask = 15
        keys = [(rng.randint(-9, 9) << rng.randint(4, 7)) + number for number in range(hosts)]
        rooms = (
            {n: rng.randint(1, 5) for n in range(hosts) if rng.random() < 0.4} if rng.random() < 0.7 else {}
        )
        step, count = rng.randint(1, 9) << 4, rng.randint(0, 40)
        taken, shares = pour(keys, step, count, mask, rooms, range(16))
        assert taken == by_heap(keys, step, count, mask, rooms)
        sums: Counter[int] = Counter()
        for numbers, many in shares:
            for number in numbers:
                sums[number] += many
        assert +sums == Counter(taken)


def test_nothing_is_poured_onto_no_hosts() -> None:
    """Without hosts nothing is taken, however much is wanted."""
    assert pour([], 16, 5, 15, {}, ())[0] == []
