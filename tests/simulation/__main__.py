"""`python -m tests.simulation --seed 42`: replays one seed with all that happens; `--seeds 0-99` tries many."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import warnings

from tests.simulation.endurance import large_setting
from tests.simulation.scenario import live


def main() -> int:
    """Run what is asked for; 1 when something was wrong."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets of strings follows from it.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    # What lives long here is much, and what dies young dies by its count of references.
    gc.set_threshold(100_000, 50, 1000)
    # What a killed process had not begun yet is never begun.
    warnings.filterwarnings("ignore", message="coroutine '.*' was never awaited", category=RuntimeWarning)
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", help="replay one seed, and show everything")
    parser.add_argument("--quiet", action="store_true", help="with --seed: show only the end")
    parser.add_argument("--seeds", default="0-19", help="try a range of seeds (%(default)s)")
    parser.add_argument("--hosts", type=int, default=0, help="instead: a large cluster of so many hosts")
    parser.add_argument("--vms", type=int, default=0, help="with --hosts: so many VMs (50 on each host)")
    parser.add_argument(
        "--hours", type=float, default=1.0, help="with --hosts: of virtual time (%(default)s)"
    )
    parser.add_argument(
        "--most", type=int, default=10, help="give up after so many wrong seeds (%(default)s)"
    )
    given = parser.parse_args()
    setting = large_setting(given.hosts, given.vms, given.hours) if given.hosts else None
    if given.seed is not None or setting is not None:
        seeds = [given.seed or "large"]
    else:
        first, _, last = given.seeds.partition("-")
        seeds = [str(seed) for seed in range(int(first), int(last or first) + 1)]
    failed = 0
    for seed in seeds:
        before = time.monotonic()
        result = live(seed, setting, show=given.seed is not None and not given.quiet)
        took = time.monotonic() - before
        failed += bool(result.problems)
        print(
            f"seed {seed}: {'WRONG' if result.problems else 'right'}, {result.virtual_s:.0f} s in {took:.1f} s, "
            f"{result.steps} steps, {result.answered} answers, digest {result.digest}",
            flush=True,
        )
        for problem in result.problems[:8]:
            print(f"    {problem[:1500]}")
        if result.problems:
            size = f" --hosts {given.hosts} --vms {given.vms} --hours {given.hours:g}" if setting else ""
            print(f"    replay it: {result.command}{size}")
        if failed >= given.most:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
