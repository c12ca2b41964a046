"""What `make demo` says at its end: whether anything of its own lab is left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "demo" / "nothing-left"


def look(state: Path) -> subprocess.CompletedProcess[str]:
    """Run the script as on a machine that has nothing but the usual."""
    return subprocess.run([SCRIPT, state], capture_output=True, text=True, check=False)


def test_a_guest_of_this_lab_is_found_and_none_of_another(tmp_path: Path) -> None:
    """A process that looks like a guest of it is told; one of another lab is not its business."""
    state, other = tmp_path / "ours", tmp_path / "theirs"
    for each in (state, other):
        each.mkdir()
        (each / "lab.json").write_text(json.dumps({"lab": each.name, "pid": 1}, indent=2))
    guest = subprocess.Popen(["bash", "-c", f"exec -a 'qemu-system-x86_64 {state}/mm1/disk' sleep 600"])
    try:
        # until it has become what it plays
        while b"qemu-system" not in Path(f"/proc/{guest.pid}/cmdline").read_bytes():
            assert guest.poll() is None
        found, theirs = look(state), look(other)
    finally:
        guest.kill()
        guest.wait()
    assert (found.returncode, theirs.returncode) == (1, 0)
    assert f"{state}/mm1/disk" in found.stderr
    assert (theirs.stderr, theirs.stdout) == (
        "",
        "nothing is left behind: no network namespace, no guest\n",
    )
    now = look(state)
    assert (now.returncode, now.stderr) == (0, "")
