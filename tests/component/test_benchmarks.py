"""The benchmarks run, on a small scale, and their rows make the table of docs/performance.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from benchmarks.__main__ import ALL, BEGIN, END, write
from benchmarks.rows import HEAD, Row, line

SMALL = {
    "heartbeats": ("--hosts", "20", "--seconds", "1"),
    "launch": ("--vms", "20", "--hosts", "2", "--repeat", "1"),
    "memory": ("--vms", "20", "--hosts", "2"),
    "metrics_cost": ("--vms", "20", "--hosts", "2", "--repeat", "1"),
    "naive": ("--records", "1000", "--repeat", "1"),
    "names": ("--vms", "1000", "--repeat", "1"),
    "prompt": ("--vms", "20", "--hosts", "2", "--lines", "5", "--repeat", "1"),
    "rounds": ("--vms", "20", "--hosts", "2", "--rounds", "2"),
    "wedged": ("--vms", "30", "--hosts", "2", "--repeat", "1"),
}
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/performance.md"


def test_each_benchmark_is_tried_here() -> None:
    """One that is added to the table is added to this test."""
    assert set(SMALL) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_benchmark_finds_something(name: str) -> None:
    """It ends well, and each of its lines is a row whose value is above nothing."""
    argv = [sys.executable, "-m", f"benchmarks.{name}", "--json", *SMALL[name]]
    run = subprocess.run(argv, capture_output=True, check=False, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    rows = [msgspec.json.decode(each, type=Row) for each in run.stdout.splitlines()]
    assert rows
    assert all(row.what and row.value >= 0 for row in rows)
    columns = HEAD[0].count("|")
    assert {line(row).count("|") for row in rows} == {columns}


def test_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    """What stands around it in the page stays, and a second table replaces the first."""
    page = tmp_path / "performance.md"
    page.write_text(PAGE.read_text())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    for text in ("| a |", "| b |"):
        write(page, text)
    assert page.read_text() == f"{before}{BEGIN}\n| b |\n{END}{after}"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """It says what it looked for."""
    page = tmp_path / "other.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="bench: begin"):
        write(page, "| a |")
    assert page.read_text() == "nothing"
