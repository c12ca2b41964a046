"""Writes the table of settings into docs/configuration.md, and packaging/shoal.toml: `make docs` runs it."""

from pathlib import Path

from shoal.cli.options import PROGRAM as CLIENT
from shoal.settings.reference import example, table, with_table
from shoal_orchestrator.settings import PROGRAM as ORCHESTRATOR
from shoal_worker.settings import PROGRAM as WORKER

ROOT = Path(__file__).parents[1]
PROGRAMS = (ORCHESTRATOR, WORKER, CLIENT)
PAGE = ROOT / "docs" / "configuration.md"
PAGE.write_text(with_table(PAGE.read_text(), table(PROGRAMS)))
(ROOT / "packaging" / "shoal.toml").write_text(example(PROGRAMS))
