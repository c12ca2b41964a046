"""Programs of a host: what they print, how they fail, and that nobody runs any unless it is allowed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.waiting import eventually

from shoal.errors import PermissionDenied, Refused
from shoal_worker import programs
from shoal_worker.programs import HostPrograms, NoPrograms, SimulatedPrograms


def _lives(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_what_is_printed_comes_back() -> None:
    """Both outputs come back in order, and words are never read by a shell."""
    assert await HostPrograms().run(["echo", "a  b", "$HOME", ";"]) == "a  b $HOME ;"
    script = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    assert await HostPrograms().run([sys.executable, "-c", script]) == "out\nerr"


async def test_failures_are_told() -> None:
    """A program that is not there is told in the peer's words, one that fails with its exit status and its output."""
    with pytest.raises(Refused, match=r'exec: "no-such": executable file not found in \$PATH'):
        await HostPrograms().run(["no-such"])
    with pytest.raises(Refused, match="ended with exit status 3") as raised:
        await HostPrograms().run([sys.executable, "-c", "print('why'); raise SystemExit(3)"])
    assert raised.value.details == ("why",)


@pytest.mark.parametrize("last", ["wait", "exit 0"])
async def test_one_that_does_not_end_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last: str
) -> None:
    """After the time-out neither the program nor what it started is there, whichever of them holds the output open."""
    monkeypatch.setattr(programs, "TIMEOUT_S", 2.0)
    pid = tmp_path / "pid"
    script = f"sleep 600 & echo $! > {pid}; {last}"
    with pytest.raises(Refused, match="did not end within 2 s"):
        await HostPrograms().run(["sh", "-c", script])
    stat = Path(f"/proc/{pid.read_text().strip()}/stat")
    # It is no child of ours: nothing tells when it is dead.
    await eventually(lambda: asyncio.to_thread(lambda: not _lives(stat)), "its child is dead")


async def test_output_is_bounded() -> None:
    """A program that prints without end is read to its end, and cut with a last line that says so."""
    text = await HostPrograms().run([sys.executable, "-c", f"print('x' * {programs.MAX_BYTES + 100})"])
    assert len(text) < programs.MAX_BYTES + 100
    assert text.endswith("bytes more")


async def test_it_has_to_be_allowed() -> None:
    """Without the setting nothing is run, and the error names the host and the flag."""
    with pytest.raises(PermissionDenied, match=r"on host mm1: .*--allow-shell"):
        await NoPrograms("mm1").run(["echo", "x"])


async def test_the_twin_knows_two_programs() -> None:
    """A simulated host prints what `echo` would, fails as `false` does, and has nothing else."""
    assert await SimulatedPrograms().run(["echo", "a", "b"]) == "a b"
    for words in (["false"], ["rm", "-rf", "/"]):
        with pytest.raises(Refused):
            await SimulatedPrograms().run(words)
