"""`python -m shoal_worker.guest build`: makes the image of the small guest and says where it is.

This module refuses to know how it is made.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shoal_worker.cache_folder import cache_folder
from shoal_worker.guest.build import build
from shoal_worker.guest.kernel_package import BuildError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; paths go to stdout, progress and errors to stderr. Returns the exit code."""
    default = cache_folder(os.environ, root=os.geteuid() == 0) / "guest"
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog="shoal guest", description="The small Linux guest for trying and tests."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="build kernel and initrd, unless they are there")
    command.add_argument(
        "--output", type=Path, default=default, help="folder to build into (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    try:
        image = build(options.output.absolute(), lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201 - progress is for the person at the terminal
    except BuildError as error:
        print(f"shoal guest build: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    print(f"kernel {image.kernel}\ninitrd {image.initrd}")  # noqa: T201 - the answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
