"""`packaging/check-release`: a release is a tag that is the version, with nothing uncommitted and a changelog."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from shoal.version import version

ROOT = Path(__file__).parents[2]


class Repository:
    """A small one, with the script in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "packaging").mkdir(parents=True)
        shutil.copy(ROOT / "packaging/check-release", folder / "packaging")
        (folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
        (folder / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 - 2026-01-01\n")
        self.git("init", "--quiet")
        self.commit()

    def git(self, *words: str) -> None:
        # no settings of this machine's
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *who, *words], cwd=self.folder, env=environ, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", "x")

    def judged(self) -> tuple[int, str]:
        """Exit code and what is said."""
        done = subprocess.run(
            [self.folder / "packaging/check-release"], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_release_is_tagged_with_its_version(repository: Repository) -> None:
    """Only the tag v<version> on the commit that is checked out is one, whatever other tags there are."""
    assert repository.judged() == (
        1,
        "release: version 1.2.3 is not what is tagged here (nothing is): `git tag v1.2.3`, or mend pyproject.toml\n",
    )
    repository.git("tag", "v1.2.30")
    code, said = repository.judged()
    assert code == 1
    assert "(v1.2.30)" in said
    repository.git("tag", "v1.2.3")
    assert repository.judged() == (0, "release: 1.2.3\n")
    repository.commit()
    assert repository.judged()[0] == 1


def test_a_release_is_committed_and_told_of(repository: Repository) -> None:
    """Uncommitted changes, and a changelog without the version, are refused; each says what to do."""
    repository.git("tag", "v1.2.3")
    (repository.folder / "new").touch()
    assert repository.judged() == (
        1,
        "release: there are uncommitted changes: commit them, or try `make wheels`\n",
    )
    (repository.folder / "new").unlink()
    (repository.folder / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.30\n\n## Unreleased\n")
    repository.commit()
    repository.git("tag", "--force", "v1.2.3")
    code, said = repository.judged()
    assert code == 1
    assert "CHANGELOG.md has no section `## 1.2.3`" in said


def test_what_is_installed_says_the_version_of_the_tree() -> None:
    """`shoal --version` is pyproject.toml's version; a stale installation is mended by `make setup`."""
    assert version() == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
