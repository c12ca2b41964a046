"""Runs the benchmarks one after the other and makes one table of what they found.

    python -m benchmarks [--only NAME,…] [--write PAGE]

Refuses to measure anything itself. Each benchmark is a program of its own (`python -m benchmarks.NAME --json`), so that
none inherits another's memory. One that fails is told of at the end, and then no page is written.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from benchmarks.machine import facts, load
from benchmarks.rows import HEAD, Row, line

#: in the order in which they run, and stand in the table; the planner has a table of its own (`schedule`)
ALL = ("launch", "naive", "wedged", "metrics_cost", "heartbeats", "names", "prompt", "rounds", "memory")
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def found_by(name: str) -> list[Row] | None:
    """The rows of one benchmark; None when it failed. What it says of itself goes to stderr."""
    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--json"], stdout=subprocess.PIPE, check=False
    )
    if run.returncode:
        return None
    return [msgspec.json.decode(each, type=Row) for each in run.stdout.splitlines()]


def write(page: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"benchmarks: {page} has no place for the table: expected lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run them and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Runs all benchmarks.")
    parser.add_argument("--only", default=",".join(ALL), metavar="NAME,…", help=f"of {', '.join(ALL)}")
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="also put the table into a page of the docs"
    )
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in ALL]:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}")
    began = load()
    rows: list[Row] = []
    failed: list[str] = []
    for name in names:
        print(f"benchmarks: {name}", file=sys.stderr, flush=True)
        found = found_by(name)
        rows += found or []
        failed += [name] if found is None else []
    foot = f"Measured on {datetime.now(UTC):%Y-%m-%d}: {facts()}; load before the first: {began}."
    table = "\n".join([*HEAD, *map(line, rows), "", foot])
    print(table)
    if failed:
        raise SystemExit(
            f"benchmarks: failed: {', '.join(failed)}" + "; no page was written" * bool(options.write)
        )
    if options.write:
        write(options.write, table)


if __name__ == "__main__":
    main()
