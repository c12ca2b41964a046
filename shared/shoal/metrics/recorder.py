"""Remembers what was counted and measured, in memory.

Refuses to know who reads it and in what form. Belongs to one event loop: nothing is locked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from shoal.metrics.protocol import Metric, Read

Labels = tuple[str, ...]


@dataclass(slots=True)
class Distribution:
    """The values that a histogram took in: how many fell into each bucket (the last one has no bound), and their sum."""

    counts: list[int]
    total: float = 0.0

    def cumulative(self) -> list[int]:
        """How many values were at most as large as each bound."""
        sums, so_far = [], 0
        for count in self.counts:
            so_far += count
            sums.append(so_far)
        return sums


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of one metric now: by labels, numbers or, for a histogram, distributions."""

    metric: Metric
    values: Mapping[Labels, float] = field(default_factory=dict)
    distributions: Mapping[Labels, Distribution] = field(default_factory=dict)


class Recorder:
    """The metrics of one process. Only those of its catalogue are known: ValueError for any other, and for wrong labels."""

    def __init__(self, catalogue: Sequence[Metric]) -> None:
        self.catalogue = tuple(catalogue)
        self._numbers: dict[str, defaultdict[Labels, float]] = {}
        self._distributions: dict[str, dict[Labels, Distribution]] = {}
        self._readers: list[Read] = []
        for metric in self.catalogue:
            if metric.name in self._numbers or metric.name in self._distributions:
                raise ValueError(f"the metric {metric.name} is twice in the catalogue")
            if metric.kind == "histogram":
                self._distributions[metric.name] = {}
                if not metric.labels:
                    self._distributions[metric.name][()] = _empty(metric)
            else:
                self._numbers[metric.name] = defaultdict(float)
                if metric.kind == "counter" and not metric.labels:
                    # there from the start, so that its first rise is seen as one
                    self._numbers[metric.name][()] = 0

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """See Metrics."""
        numbers = self._numbers.get(metric.name)
        if numbers is None or len(labels) != len(metric.labels):
            raise ValueError(f"cannot count {metric.name}{labels}: no counter of the catalogue is like that")
        numbers[labels] += by

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """See Metrics."""
        of_metric = self._distributions.get(metric.name)
        if of_metric is None or len(labels) != len(metric.labels):
            raise ValueError(
                f"cannot observe {metric.name}{labels}: no histogram of the catalogue is like that"
            )
        found = of_metric.get(labels)
        if found is None:
            found = of_metric[labels] = _empty(metric)
        found.counts[bisect_left(metric.buckets, value)] += 1
        found.total += value

    @contextmanager
    def reading(self, read: Read) -> Iterator[None]:
        """See Metrics."""
        self._readers.append(read)
        try:
            yield
        finally:
            self._readers.remove(read)

    def snapshot(self) -> list[Snapshot]:
        """Everything as it is now, in the order of the catalogue."""
        gauges: dict[str, defaultdict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        for read in self._readers:
            for metric, value, labels in read():
                gauges[metric.name][labels] += value
        return [
            Snapshot(metric, distributions=self._distributions[metric.name])
            if metric.kind == "histogram"
            else Snapshot(
                metric, gauges[metric.name] if metric.kind == "gauge" else self._numbers[metric.name]
            )
            for metric in self.catalogue
        ]


def _empty(metric: Metric) -> Distribution:
    return Distribution([0] * (len(metric.buckets) + 1))
