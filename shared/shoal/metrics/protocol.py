"""What is counted: the form of a metric, and the Protocol through which the daemons tell of it.

This module refuses to know Prometheus and the network. `NoMetrics` is the twin that remembers nothing,
`recorder.Recorder` the one that remembers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name as Prometheus shows it (counters end in `_total`), and the names of its labels.

    A label has few values, known when the code is written: never the name of a VM, a namespace or a host.
    `buckets` are the upper bounds of a histogram, ascending, in its unit.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


class Reading(NamedTuple):
    """What a gauge shows now, for these values of its labels."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


#: asked whenever somebody looks: it may cost as much as a look at each host, never one at each VM
Read = Callable[[], Iterable[Reading]]


class Metrics(Protocol):
    """Where the daemons tell what they do. Cheap enough for every heartbeat and every batch."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """A counter goes up."""
        ...

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """A histogram takes in one value, in its unit."""
        ...

    def reading(self, read: Read) -> AbstractContextManager[None]:
        """Gauges that are asked for when somebody looks, for as long as the block runs.

        Several that tell of one gauge add up: a process may be the worker of many hosts.
        """
        ...


class NoMetrics:
    """Nobody looks: nothing is remembered."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Forget it."""

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Forget it."""

    def reading(self, read: Read) -> AbstractContextManager[None]:
        """Never ask."""
        del read
        return nullcontext()


#: it holds nothing, so that one is enough for everybody
NOBODY: Metrics = NoMetrics()
