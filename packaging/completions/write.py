"""Writes the completion scripts beside this file: `make docs` runs it."""

from pathlib import Path

from shoal.cli.completion import write_scripts

write_scripts(Path(__file__).parent)
