"""Plans as records and back: which VM of which queue entry goes to which host, folded by host and in chunks.

This module refuses to know how a placement is found, and what is done with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from shoal.core.load import Load
from shoal_orchestrator.core.records import PlanChunk, QueueEntry

#: hosts in one chunk: with ten places on each, a chunk has a few hundred KiB at the most
HOSTS_PER_CHUNK = 2000


def fold_numbers(numbers: Iterable[int]) -> str:
    """Numbers in ascending order as `0-3,7`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def expand_numbers(text: str) -> list[int]:
    """The inverse of `fold_numbers`."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        numbers.extend(range(int(low), int(high or low) + 1))
    return numbers


def chunks_of(
    namespace: str,
    plan: str,
    entries: Sequence[QueueEntry],
    hosts: Sequence[Sequence[str]],
    loads: Mapping[str, Load],
) -> list[PlanChunk]:
    """Placements (`hosts[i][j]`: the host of the j-th VM of the i-th entry) as chunks, numbered from 1.

    `loads` are those of the hosts before the plan is carried out.
    """
    places: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for entry, of_entry in zip(entries, hosts, strict=True):
        for index, host in enumerate(of_entry):
            places[host][str(entry.entry)].append(index)
    names = sorted(places)
    return [
        PlanChunk(
            namespace=namespace,
            plan=plan,
            chunk=number + 1,
            placements={
                host: {entry: fold_numbers(indexes) for entry, indexes in places[host].items()}
                for host in names[at : at + HOSTS_PER_CHUNK]
            },
            ground={
                host: (load.vcpus, load.memory_mib, load.nics, load.vms)
                for host in names[at : at + HOSTS_PER_CHUNK]
                if (load := loads.get(host)) is not None
            },
        )
        for number, at in enumerate(range(0, len(names), HOSTS_PER_CHUNK))
    ]


def hosts_of(entries: Sequence[QueueEntry], chunks: Iterable[PlanChunk]) -> list[list[str]]:
    """The inverse of `chunks_of`, for these entries. A place that no chunk names has the host "" (a chunk was lost)."""
    found = {str(entry.entry): [""] * entry.count for entry in entries}
    for chunk in chunks:
        for host, places in chunk.placements.items():
            for entry, text in places.items():
                if entry in found:
                    for index in expand_numbers(text):
                        found[entry][index] = host
    return [found[str(entry.entry)] for entry in entries]
