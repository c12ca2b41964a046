"""Builds source archive and wheel as a release does, and tries the wheel in clean environments, one for each extra.

It needs the package index that pip is configured with. `make wheels` runs it; `--keep DIR` leaves what was built there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
VERSION = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
#: nothing listens there
NOWHERE = "nats://127.0.0.1:1"
TIMEOUT_S = 300.0


class Check(NamedTuple):
    """A program of the environment, the exit code that it must end with, and what it must say (a pattern)."""

    argv: tuple[str, ...]
    says: str
    code: int = 0


_AS_ROOT = os.geteuid() == 0
_IMPORTS = "import shoal, sys; shoal.connect; assert shoal.__file__.startswith(sys.prefix), shoal.__file__; print('imported')"
_EVERYWHERE = (
    Check(("python", "-c", _IMPORTS), "^imported$"),
    Check(("shoal", "--version"), f"^shoal {re.escape(VERSION)}$"),
)
CHECKS: Mapping[str, Sequence[Check]] = {
    "": (
        Check(("shoal", "-e", "version"), re.escape(VERSION)),
        Check(("shoal", "help", "vm", "launch"), "vm launch"),
        Check(("shoal", "--server", NOWHERE, "vm", "info"), "^E: .*127.0.0.1:1", 5),
        Check(("shoal-orchestrator", "--version"), re.escape(VERSION)),
        Check(("shoal-worker", "--version"), re.escape(VERSION)),
        Check(("shoal", "completion", "bash"), "complete -F _shoal shoal"),
        Check(("shoal", "lab", "--simulate"), r"pip install 'shoal\[server\]'", 5),
        Check(("shoal", "up", "--simulate"), r"pip install 'shoal\[server\]'", 5),
        Check(("shoal", "worker"), r"pip install 'shoal\[worker\]'" if _AS_ROOT else "needs root", 1),
        Check(("shoal", "orchestrator", "--server", NOWHERE), "127.0.0.1:1", 5),
        Check(("shoal", "orchestrator", "--metrics", "127.0.0.1:0"), r"pip install 'shoal\[metrics\]'", 1),
    ),
    "server": (
        Check(("shoal", "lab", "--hosts", "1"), r"pip install 'shoal\[worker\]'" if _AS_ROOT else "root", 1),
        Check(
            (
                "shoal",
                "lab",
                "--simulate",
                "--hosts",
                "2",
                "--",
                "shoal",
                "-e",
                "vm launch kvm a",
                "-e",
                "vm info",
            ),
            "BUILDING",
        ),
    ),
    "worker": (
        Check(("python", "-c", "import libvirt, pyroute2, PIL; print('there')"), "^there$"),
        Check(
            (
                "python",
                "-c",
                "import shoal_worker.libvirt_hypervisor, shoal_worker.netlink_network; print('there')",
            ),
            "^there$",
        ),
        Check(("shoal", "guest", "--help"), "build"),
    ),
    "metrics": (
        Check(
            ("shoal", "orchestrator", "--metrics", "127.0.0.1:0", "--server", NOWHERE), "metrics-served", 5
        ),
    ),
}
#: what a wheel must have beside its modules
_FILES = (
    *("shoal/py.typed", "shoal_orchestrator/py.typed", "shoal_worker/py.typed"),
    *("shoal_worker/guest/init.sh", "shoal_worker/udhcpc.sh"),
    *("share/shoal/shoal-worker.service", "share/shoal/shoal-orchestrator.service", "share/shoal/shoal.toml"),
    "share/bash-completion/completions/shoal",
)


def run(argv: Sequence[str | Path]) -> None:
    """Run a program that must succeed."""
    done = subprocess.run(
        [str(word) for word in argv], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode:
        sys.exit(
            f"wheels: {' '.join(map(str, argv))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )


def pip(python: Path, *words: str | Path) -> None:
    """Run pip for another environment's Python; that one needs none of its own."""
    run([sys.executable, "-m", "pip", "--python", python, "--quiet", *words, "--constraint", CONSTRAINTS])


def environment(folder: Path) -> Path:
    """A clean environment; its Python."""
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    return folder / "bin" / "python"


def build(folder: Path) -> Path:
    """The source archive, and the wheel made from it, where there is no repository; the wheel's path."""
    python = environment(folder / "build")
    pip(python, "install", "hatchling")
    run(["env", "-C", ROOT, python, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder])
    (archive,) = folder.glob("*.tar.gz")
    unpacked = folder / "unpacked"
    shutil.unpack_archive(archive, unpacked)  # our own; Debian 12 has no filters yet
    (source,) = unpacked.iterdir()
    run(["env", "-C", source, python, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder])
    (wheel,) = folder.glob("*.whl")
    assert f"-{VERSION}-" in wheel.name, f"{wheel.name} is not of version {VERSION}"
    names = zipfile.ZipFile(wheel).namelist()
    for file in _FILES:
        assert any(name.endswith(file) for name in names), f"{file} is not in {wheel.name}"
    assert not [name for name in names if name.startswith("tests/") or name.endswith(".pyc")]
    return wheel


def failures(extra: str, wheel: Path, folder: Path) -> list[str]:
    """Install the wheel with an extra and try it; what went wrong."""
    python = environment(folder)
    pip(python, "install", "--no-compile", f"{wheel}[{extra}]" if extra else wheel)
    # nothing of this machine's own: no nats-server on PATH, no settings
    environ = {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "SHOAL_CONFIG": os.devnull,
    }
    found: list[str] = []
    for check in (*_EVERYWHERE, *CHECKS[extra]):
        done = subprocess.run(
            [folder / "bin" / check.argv[0], *check.argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            cwd=folder,
            env=environ,
        )
        said = done.stdout + done.stderr
        if done.returncode != check.code or not re.search(check.says, said, re.MULTILINE):
            found.append(
                f"{' '.join(check.argv)}: exit code {done.returncode}, expected {check.code} "
                f"and `{check.says}`; it said:\n{said}"
            )
    return found


def main() -> int:
    """Build, install, try; the exit code."""
    parser = argparse.ArgumentParser(description="Builds the wheel and tries it in clean environments.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where to leave archive and wheel")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory(prefix="shoal-wheels-") as name:
        folder = Path(name)
        wheel = build(folder)
        bad = 0
        for extra in CHECKS:
            found = failures(extra, wheel, folder / f"with-{extra or 'nothing'}")
            print(f"wheels: shoal{f'[{extra}]' if extra else ''}: {'FAILED' if found else 'ok'}", flush=True)
            for text in found:
                print(text)
            bad += len(found)
        if keep is not None and not bad:
            keep.mkdir(parents=True, exist_ok=True)
            for file in (*folder.glob("*.tar.gz"), wheel):
                shutil.copy(file, keep)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
