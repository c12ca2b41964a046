"""What docs/upgrading.md says can be looked up: tests, extras and files that it names."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/upgrading.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_tests_that_hold_its_promises_are_there() -> None:
    """Each test that the page names exists."""
    tests = "".join(page.read_text() for page in (ROOT / "tests").rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", PAGE)
    assert len(named) >= 6
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_its_extras_are_those_of_the_distribution() -> None:
    """Every extra but the developers' has its row."""
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {
        *PROJECT["project"]["optional-dependencies"]
    } - {"dev"}


def test_the_wheel_brings_what_it_installs() -> None:
    """What the page copies from share/shoal is put there by the wheel, from files that exist."""
    shared = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    for source in shared:
        assert (ROOT / source).is_file(), source
    named = set(re.findall(r"([\w./-]+\.(?:service|toml|conf))\b", PAGE.partition("## What an upgrade")[0]))
    brought = {target.removeprefix("share/shoal/") for target in shared.values()}
    assert {name for name in named if not name.startswith("/") and name != "pyproject.toml"} <= brought
