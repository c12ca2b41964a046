"""The table of metrics in docs/observability.md, made from the catalogues.

Refuses to know the daemons: their catalogues are given to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.metrics.exposition import registry_of
from shoal.metrics.protocol import Kind, Metric
from shoal.metrics.recorder import Recorder

BEGIN, END = "<!-- metrics: written by `make docs` -->\n", "<!-- end -->\n"
_KINDS: Mapping[str, Kind] = {"counter": "counter", "gauge": "gauge"}


def process_metrics() -> list[Metric]:
    """What prometheus-client tells of every process by itself."""
    return [
        Metric(
            f"{family.name}_total" if family.type == "counter" else family.name,
            _KINDS[family.type],
            family.documentation,
        )
        for family in registry_of(Recorder(())).collect()
    ]


def table(catalogues: Mapping[str, Iterable[Metric]]) -> str:
    """A table of all metrics: by daemon, and last those that both have."""
    daemons: dict[Metric, list[str]] = {}
    for daemon, catalogue in catalogues.items():
        for metric in catalogue:
            daemons.setdefault(metric, []).append(daemon)
    both = {metric: list(catalogues) for metric in process_metrics()}
    lines = ["| metric | kind | labels | of | what |", "|---|---|---|---|---|"]
    for metric, of in sorted((daemons | both).items(), key=lambda item: len(item[1])):
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        who = of[0] if len(of) == 1 else "both"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {who} | {metric.help} |")
    return "\n".join(lines) + "\n"


def with_table(page: str, text: str) -> str:
    """The page with this table between its marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}{text}{END}{tail}"
