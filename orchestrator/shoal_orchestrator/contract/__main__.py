"""`python -m shoal_orchestrator.contract DOCS`: write what is generated of the bus into the folder of the docs.

Refuses to know what stands in it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from shoal_orchestrator.contract.asyncapi import document
from shoal_orchestrator.contract.events import event_page, event_schemas


def generated(docs: Path) -> dict[Path, str]:
    """Each file, and what should be in it now. `events.md` is made from what is there: only its catalogue changes."""
    page = docs / "events.md"
    return {
        page: event_page(page.read_text(encoding="utf-8")),
        docs / "events.schema.json": json.dumps(event_schemas(), indent=1) + "\n",
        docs / "asyncapi.json": json.dumps(document(), indent=1) + "\n",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; returns the exit code."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Writes events.md's catalogue, events.schema.json and asyncapi.json."
    )
    parser.add_argument("docs", type=Path, help="the folder of the docs")
    for file, text in generated(parser.parse_args(arguments).docs).items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
