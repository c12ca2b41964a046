"""Scripts of the command language against a simulated cluster, compared with what they are to print.

Each SCRIPT.mm has its SCRIPT.txt beside it: the transcript that `shoal read --echo` prints. What differs from one
run to the next (instances, UUIDs, times) must not be shown by a script.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from shoal.testing.cluster import environment

HERE = Path(__file__).parent
SCRIPTS = sorted(HERE.glob("*.mm"))


def shoal(url, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", *arguments],
        capture_output=True,
        text=True,
        env=environment(url),
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_prints_its_transcript(script, simulated_url):
    """The script prints, line for line, what its transcript says."""
    try:
        done = shoal(simulated_url, "read", "--echo", str(script))
        assert done.stdout == script.with_suffix(".txt").read_text()
        assert done.returncode in (0, 3)
    finally:
        shoal(simulated_url, "-e", "clear namespace all")
