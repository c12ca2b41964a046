"""Scripts of the command language against a simulated cluster, compared with what they are to print.

Each SCRIPT.mm has its SCRIPT.txt beside it: the transcript that `shoal read --echo` prints. What differs from one
run to the next (instances, UUIDs, times) must not be shown by a script; VERSION stands for that of this program.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.waiting import eventually

import shoal as library
from shoal.messages.hosts import ListMesh
from shoal.testing import cluster
from shoal.testing.cluster import environment
from shoal.version import version

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


def transcript(script):
    """What a script is to print."""
    return script.with_suffix(".txt").read_text().replace("VERSION", version())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_prints_its_transcript(script, simulated_url):
    """The script prints, line for line, what its transcript says."""
    try:
        done = shoal(simulated_url, "read", "--echo", str(script))
        assert done.stdout == transcript(script)
        assert done.returncode in (0, 3)
    finally:
        shoal(simulated_url, "-e", "clear namespace all")


async def test_lost_hosts_are_forgotten():
    """With two hosts lost, the script about forgetting them prints what its transcript says."""
    script = HERE / "lost-hosts" / "forgetting.mm"
    async with cluster("mm[1-3]", apart="mm[1-2]") as running, library.connect(running.url) as client:
        ns = client.namespace("red")
        await ns.create()
        await ns.launch("a")
        running.kill("apart")

        async def lost():
            rows = await client.call(ListMesh(which="status"))
            return {row.host for row in rows.items if row.state == "lost"} == {"mm1", "mm2"}

        await eventually(lost, "both hosts lost")
        done = shoal(running.url, "read", "--echo", str(script))
        assert done.stdout == transcript(script)
