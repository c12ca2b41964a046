"""Prometheus' own form of what a Recorder holds: the only module that imports prometheus_client.

Refuses to know the network. The registry is one of its own, never the process-wide one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from shoal.metrics.recorder import Recorder, Snapshot

#: gives the answer to a scrape: body and content type, by what its header `Accept` asks for
Expose = Callable[[str], tuple[bytes, str]]


class _Recorded(Collector):
    """Hands a Recorder's content to a registry."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def collect(self) -> Iterator[Family]:
        """Everything as it is now."""
        for snapshot in self._recorder.snapshot():
            yield _family(snapshot)


def _family(snapshot: Snapshot) -> Family:
    metric = snapshot.metric
    if metric.kind == "histogram":
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [*(repr(float(bound)) for bound in metric.buckets), "+Inf"]
        for labels, found in snapshot.distributions.items():
            buckets = list(zip(bounds, found.cumulative(), strict=True))
            family.add_metric(labels, buckets=buckets, sum_value=found.total)
        return family
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    numbers = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in snapshot.values.items():
        numbers.add_metric(labels, value)
    return numbers


def registry_of(recorder: Recorder) -> CollectorRegistry:
    """A registry with what was recorded, and with the process's memory, CPU time and open files (`process_…`)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Recorded(recorder))
    ProcessCollector(registry=registry)
    return registry


def exposition_of(recorder: Recorder) -> Expose:
    """What answers scrapes of this Recorder."""
    registry = registry_of(recorder)

    def expose(accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    return expose
