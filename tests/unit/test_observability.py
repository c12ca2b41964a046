"""What is written about metrics names those that there are: the page, the alerts, the dashboard."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from shoal.metrics.protocol import Metric
from shoal.metrics.recorder import Recorder
from shoal.metrics.reference import process_metrics, table, with_table
from shoal_orchestrator import measures as orchestrator
from shoal_worker import measures as worker

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "observability.md"
ALERTS = ROOT / "packaging" / "prometheus" / "shoal-alerts.yml"
DASHBOARD = ROOT / "packaging" / "grafana" / "shoal.json"
CATALOGUES = {"orchestrator": orchestrator.CATALOGUE, "worker": worker.CATALOGUE}
ALL = {metric.name: metric for catalogue in CATALOGUES.values() for metric in catalogue}
#: labels that Prometheus itself adds
THEIRS = {"job", "instance", "le"}


def samples() -> set[str]:
    """The names under which Prometheus stores what a scrape shows."""
    found = set()
    for metric in (*ALL.values(), *process_metrics()):
        ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        found |= {metric.name + end for end in ends}
    return found


def alerts() -> Iterator[tuple[str, str]]:
    """Every alert, and its expression."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def panels() -> Iterator[tuple[str, str]]:
    """Every panel of the dashboard, and each of its expressions."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


EXPRESSIONS = [*alerts(), *panels()]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_alerts_and_panels_name_what_there_is(title: str, expression: str) -> None:
    """Every metric of an expression is in a catalogue, and every label that it names is one of its metrics' own."""
    named = set(re.findall(r"\b(?:shoal|process)_[a-z_]+", expression))
    assert named, title
    assert named <= samples()
    labels = set(re.findall(r"([a-z]+)\s*=[~]?\"", expression))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    known = {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} | named
    ours = {label for name in known if name in ALL for label in ALL[name].labels}
    assert labels <= ours | THEIRS


def test_the_dashboard_shows_every_metric() -> None:
    """A metric that no panel shows is one that nobody looks at."""
    text = " ".join(expression for _, expression in panels())
    assert [name for name in ALL if not re.search(rf"\b{name}(_bucket|_sum|_count)?\b", text)] == []


def test_alerts_say_what_to_do() -> None:
    """Each alert has a severity, a summary, and a description; no two have one name."""
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_page_has_the_table() -> None:
    """docs/observability.md is what `make docs` would write."""
    page = PAGE.read_text()
    assert page == with_table(page, table(CATALOGUES))
    assert all(f"| `{name}` |" in page for name in ALL)


@pytest.mark.parametrize("metric", ALL.values(), ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric: Metric) -> None:
    """Counters end in `_total`, nothing else does; names say their unit; no label can have many values."""
    assert re.fullmatch(r"shoal_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not {"vm", "namespace", "host", "request", "instance"} & set(metric.labels)
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help.endswith(".")


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
def test_a_catalogue_has_each_metric_once(catalogue: tuple[Metric, ...]) -> None:
    """A Recorder takes the catalogue."""
    assert Recorder(catalogue).catalogue == catalogue
