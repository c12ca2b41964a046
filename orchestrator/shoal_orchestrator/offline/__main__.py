"""`python -m shoal_orchestrator.offline FILE.json`, which is `shoal plan FILE.json`: the planner without a bus.

This module refuses to know the document and the planner: it reads, prints and ends with the right code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shoal.errors import InvalidRequest
from shoal_orchestrator.offline.document import answer, decode


def main(arguments: Sequence[str] | None = None) -> int:
    """Plan what a file, or standard input (`-`), asks for; the answer goes to stdout, errors to stderr.

    Returns 0 when every VM has a host, 1 when some have none, 2 for input that is no such document.
    """
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="shoal plan",
        description="Where would VMs go? Reads hosts and VMs as JSON and writes placements as JSON, without a "
        "cluster. docs/scheduling.md describes both.",
    )
    parser.add_argument("file", help="the document, or - for standard input")
    options = parser.parse_args(arguments)
    source = "standard input" if options.file == "-" else options.file
    try:
        found = answer(decode(_read(options.file)))
    except OSError as error:
        print(f"shoal plan: cannot read {source}: {error.strerror}", file=sys.stderr)  # noqa: T201 - the person at the terminal
        return 2
    except InvalidRequest as error:
        print(f"shoal plan: {source}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 2
    print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())  # noqa: T201 - the answer
    return 1 if found.unplaceable else 0


def _read(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
