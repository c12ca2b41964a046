"""Writes the table of metrics into docs/observability.md: `make docs` runs it."""

from pathlib import Path

from shoal.metrics.reference import table, with_table
from shoal_orchestrator import measures as orchestrator
from shoal_worker import measures as worker

PAGE = Path(__file__).parents[2] / "docs" / "observability.md"
PAGE.write_text(
    with_table(PAGE.read_text(), table({"orchestrator": orchestrator.CATALOGUE, "worker": worker.CATALOGUE}))
)
