"""`python -m shoal_worker.lab lab …` and `… up …`: from words to an exit code (DESIGN.md section 7)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from shoal.errors import ShoalError
from shoal.settings.file import VARIABLE
from shoal_worker.lab.lab import run_lab
from shoal_worker.lab.settings import LabSettings, parse
from shoal_worker.lab.up import run_up

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a lab, or this machine as a cluster; the exit code."""
    # a lab is as its flags say, whatever the daemons of this machine are configured to
    os.environ.setdefault(VARIABLE, os.devnull)
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments, root=os.geteuid() == 0)
        return run_lab(settings) if isinstance(settings, LabSettings) else run_up(settings)
    except ShoalError as error:
        # what is wrong with the options names the program itself
        program = "" if error.message.startswith("shoal ") else "shoal: "
        sys.stderr.write("".join(f"{line}\n" for line in (f"{program}{error.message}", *error.details)))
        return error.exit_code
    except KeyboardInterrupt:  # before the event loop took over the signals
        return 130


if __name__ == "__main__":
    sys.exit(main())
