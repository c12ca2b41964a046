"""Outlives a lab that was killed, and takes it down: `python -m shoal_worker.lab.guard --lab ID --state DIR`.

Its standard input is a pipe from the lab. The lab writes `done` when it has taken itself down; the end of the pipe
without that word means that the lab is dead. The guard has a session of its own, so that what a terminal sends to
the lab does not reach it. It also holds the lock of the state directory until everything is gone.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shoal_worker.lab.teardown import tear_down

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shoal_worker.lab.preconditions import State

_DONE = b"done\n"
_WAIT_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Guard:
    """The lab's end of the pipe."""

    def __init__(self, lab: str, state: State) -> None:
        with (state.path / "logs" / "guard.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "shoal_worker.lab.guard"),
                    *("--lab", lab, "--state", str(state.path)),
                    *(("--remove-state",) if state.made else ()),
                ],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                pass_fds=(state.lock,),
            )

    @property
    def pid(self) -> int:
        """The guard's process."""
        return self._process.pid

    def done(self) -> None:
        """Tell the guard that nothing is left to do, and wait for its end."""
        try:
            self._process.communicate(_DONE, timeout=_WAIT_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()


@contextmanager
def guarded(lab: str, state: State) -> Iterator[None]:
    """Take the lab down at the end of the block, whatever the end; the guard does it if we cannot.

    Raises Refused for what could not be removed.
    """
    guard = Guard(lab, state)
    try:
        yield
    finally:
        for number in _SIGNALS:  # an impatient second Ctrl-C must not leave half of it behind
            signal.signal(number, signal.SIG_IGN)
        tear_down(lab, state.path, remove_state=state.made)
        guard.done()


def main(arguments: Sequence[str] | None = None) -> None:
    """Wait for the lab's end."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="shoal_worker.lab.guard", description="Takes a lab down after its death."
    )
    parser.add_argument("--lab", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--remove-state", action="store_true")
    found = parser.parse_args(arguments)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() != _DONE:
        tear_down(found.lab, found.state, remove_state=found.remove_state)


if __name__ == "__main__":
    main()
