"""Who says that something is not there, or in the way, says what, for programs: `names` are never forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    str(path.relative_to(ROOT))
    for package in ("shared/shoal", "orchestrator/shoal_orchestrator", "worker/shoal_worker")
    for path in (ROOT / package).rglob("*.py")
)


def nameless(source: str) -> Iterator[int]:
    """The lines in which a NotFound or Conflict is made without `names`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            given = {keyword.arg for keyword in node.keywords}
            if node.func.id in ("NotFound", "Conflict") and not given & {"names", None}:
                yield node.lineno


def test_what_forgets_them_is_found() -> None:
    """Two are made without, one with names."""
    assert list(nameless("NotFound('x')\nConflict('y', details=())\nConflict('z', names=('z',))")) == [1, 2]


@pytest.mark.parametrize("module", MODULES)
def test_what_is_not_there_is_named(module: str) -> None:
    """None, too, is said: where there is nothing to name."""
    assert list(nameless((ROOT / module).read_text(encoding="utf-8"))) == []
